"""Weights from one model to another: an encoder keeps its names, so transfer is a prefix and not a mapping table."""

from .checkpoint_files import load_weights, resolve_checkpoint
from .coverage import Coverage, compare, coverage_table, shortcomings
from .encoder_file import export_encoder, read_encoder, read_encoder_weights, weights_hash
from .encoder_weights import load_encoder

__all__ = [
    "Coverage",
    "compare",
    "coverage_table",
    "export_encoder",
    "load_encoder",
    "load_weights",
    "read_encoder",
    "read_encoder_weights",
    "resolve_checkpoint",
    "shortcomings",
    "weights_hash",
]
