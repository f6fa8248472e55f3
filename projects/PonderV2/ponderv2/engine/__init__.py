"""Running: command lines, hooks around training, checkpoints for others."""

from .hooks import DisableTransformsHook, EncoderExportHook, RenderPreviewHook, UnfreezeEncoderHook
from .launch import build_runner, load_config, parse_arguments, set_data_root
from .optim_constructor import CheckedOptimWrapperConstructor
from .test_time_augmentation import with_tta

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
