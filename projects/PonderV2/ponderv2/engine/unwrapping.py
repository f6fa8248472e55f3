"""The model itself, of a runner that may have wrapped it for several processes."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside of a wrapper such as `DistributedDataParallel`, or the model where there is none."""
    return model.module if is_model_wrapper(model) else model
