"""Running: command lines, hooks around training, checkpoints for others."""

from .checkpoints import load_weights, resolve_checkpoint
from .export import export_encoder, read_encoder
from .hooks import EncoderExportHook, RenderPreviewHook
from .launch import build_runner, load_config, parse_arguments, set_data_root

__all__ = [
    "EncoderExportHook",
    "RenderPreviewHook",
    "build_runner",
    "export_encoder",
    "load_config",
    "load_weights",
    "parse_arguments",
    "read_encoder",
    "resolve_checkpoint",
    "set_data_root",
]
