"""Running a recipe: command lines, the runner, the hooks around training."""

from .hooks import (
    DetectionPreviewHook,
    DisableTransformsHook,
    EncoderExportHook,
    ProgressHook,
    RenderPreviewHook,
    UnfreezeEncoderHook,
)
from .launch import build_runner, load_config, parse_arguments
from .optim_constructor import CheckedOptimWrapperConstructor
from .recipe_datasets import innermost_dataset, set_data_root
from .resolved_recipe import resolved_recipe
from .test_time_augmentation import with_tta

__all__ = [
    "CheckedOptimWrapperConstructor",
    "DetectionPreviewHook",
    "DisableTransformsHook",
    "EncoderExportHook",
    "ProgressHook",
    "RenderPreviewHook",
    "UnfreezeEncoderHook",
    "build_runner",
    "innermost_dataset",
    "load_config",
    "parse_arguments",
    "resolved_recipe",
    "set_data_root",
    "with_tta",
]
