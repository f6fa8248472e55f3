"""Running a recipe: command lines, the runner, the hooks around training."""

from .hooks import (
    DetectionPreviewHook,
    DisableTransformsHook,
    EncoderExportHook,
    ProgressHook,
    RenderPreviewHook,
    UnfreezeEncoderHook,
)
from .launch import build_tester, build_trainer, load_config, test, train
from .optim_constructor import CheckedOptimWrapperConstructor
from .recipe_datasets import innermost_dataset, set_data_root
from .recipe_errors import recipe_errors
from .recipe_options import parse_options
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
    "build_tester",
    "build_trainer",
    "innermost_dataset",
    "load_config",
    "parse_options",
    "recipe_errors",
    "resolved_recipe",
    "set_data_root",
    "test",
    "train",
    "with_tta",
]
