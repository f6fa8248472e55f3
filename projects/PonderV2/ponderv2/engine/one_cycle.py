"""One cycle of learning rates that keeps the ratios of parameter groups."""

from mmengine.optim import BaseOptimWrapper, OneCycleLR
from torch.optim import Optimizer

from ponderv2.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class GroupOneCycleLR(OneCycleLR):
    """mmengine's `OneCycleLR`, in which a group whose rate is a tenth of the optimizer's has a tenth of `eta_max`.

    mmengine's own gives every group the same `eta_max`: an `lr_mult` of `paramwise_cfg` is silently lost.

    The arguments are those of `OneCycleLR`.
    """

    def _format_param(
        self, name: str, optimizer: Optimizer | BaseOptimWrapper, param: float | list[float]
    ) -> list[float]:
        values = super()._format_param(name, optimizer, param)
        if isinstance(param, list | tuple):
            return values
        base = getattr(optimizer, "optimizer", optimizer).defaults["lr"]
        return [value * (group["lr"] / base) for value, group in zip(values, optimizer.param_groups, strict=True)]
