"""The registries every registered class of this package uses; importing them repairs the stack first."""

from ponderv2 import compat

compat.install()

from mmdet3d.registry import DATASETS, HOOKS, METRICS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS, TRANSFORMS  # noqa: E402

__all__ = ["DATASETS", "HOOKS", "METRICS", "MODELS", "OPTIM_WRAPPER_CONSTRUCTORS", "TRANSFORMS"]
