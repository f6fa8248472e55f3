"""Weights on disk: an encoder as one file that builds itself, and an encoder's weights from one model to another.

An encoder keeps its names in every model, so transfer is a prefix and not a mapping table.
"""

from .checkpoint_files import (
    INTERRUPTED,
    check_covering,
    checkpoint_to_resume,
    load_weights,
    resolve_checkpoint,
    set_earlier_run_aside,
)
from .coverage import Coverage, compare, coverage_table, shortcomings
from .encoder_config import config_from_data, config_to_data
from .encoder_file import EncoderHeader, encoder_weights_of, read_encoder, read_encoder_weights, read_header
from .encoder_weights import compare_encoder, load_encoder_weights
from .export import export_encoder
from .head_weights import head_weights_of, load_head_weights, read_head_weights
from .loaded_encoder import EncoderReport, LoadedEncoder, load_encoder
from .stock_weights import StockWeights, stock_weights, write_stock_checkpoint
from .writing import weights_hash, write_checkpoint

__all__ = [
    "INTERRUPTED",
    "Coverage",
    "EncoderHeader",
    "EncoderReport",
    "LoadedEncoder",
    "StockWeights",
    "check_covering",
    "checkpoint_to_resume",
    "compare",
    "compare_encoder",
    "config_from_data",
    "config_to_data",
    "coverage_table",
    "encoder_weights_of",
    "export_encoder",
    "head_weights_of",
    "load_encoder",
    "load_encoder_weights",
    "load_head_weights",
    "load_weights",
    "read_encoder",
    "read_encoder_weights",
    "read_head_weights",
    "read_header",
    "resolve_checkpoint",
    "set_earlier_run_aside",
    "shortcomings",
    "stock_weights",
    "weights_hash",
    "write_checkpoint",
    "write_stock_checkpoint",
]
