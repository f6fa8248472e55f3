"""Running: command lines, hooks around training, checkpoints for others."""

from .fade import DisableTransformsHook
from .hooks import EncoderExportHook, RenderPreviewHook
from .launch import build_runner, load_config, parse_arguments, set_data_root
from .optim import CheckedOptimWrapperConstructor
from .tta import with_tta
from .unfreeze import UnfreezeEncoderHook

__all__ = [
    "CheckedOptimWrapperConstructor",
    "DisableTransformsHook",
    "EncoderExportHook",
    "RenderPreviewHook",
    "UnfreezeEncoderHook",
    "build_runner",
    "load_config",
    "parse_arguments",
    "set_data_root",
    "with_tta",
]
