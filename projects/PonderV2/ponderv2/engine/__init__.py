"""Running a recipe: command lines, the runner, the hooks around training."""

from .hooks import (
    CompileHook,
    CostHook,
    DetectionPreviewHook,
    DisableTransformsHook,
    EncoderExportHook,
    GatheredRuntimeInfoHook,
    NonFiniteLossHook,
    ProgressHook,
    RankWatchHook,
    RecomputeHook,
    RenderPreviewHook,
    SegmentationPreviewHook,
    UnfreezeEncoderHook,
)
from .launch import build_tester, load_config, prepare_training, test, train, training_config
from .one_cycle import GroupOneCycleLR
from .optim_constructor import CheckedOptimWrapperConstructor
from .precision import PrecisionOptimWrapper, allow_tf32
from .recipe_datasets import innermost_dataset, set_data_root
from .recipe_errors import must_have, recipe_errors
from .recipe_options import parse_options
from .resolved_recipe import resolved_recipe
from .scene_sampler import SceneSampler
from .sharded_optimizer import ShardedOptimizer
from .test_time_augmentation import with_tta

__all__ = [
    "CheckedOptimWrapperConstructor",
    "CompileHook",
    "CostHook",
    "DetectionPreviewHook",
    "DisableTransformsHook",
    "EncoderExportHook",
    "GatheredRuntimeInfoHook",
    "GroupOneCycleLR",
    "NonFiniteLossHook",
    "PrecisionOptimWrapper",
    "ProgressHook",
    "RankWatchHook",
    "RecomputeHook",
    "RenderPreviewHook",
    "SceneSampler",
    "SegmentationPreviewHook",
    "ShardedOptimizer",
    "UnfreezeEncoderHook",
    "allow_tf32",
    "build_tester",
    "innermost_dataset",
    "load_config",
    "must_have",
    "parse_options",
    "prepare_training",
    "recipe_errors",
    "resolved_recipe",
    "set_data_root",
    "test",
    "train",
    "training_config",
    "with_tta",
]
