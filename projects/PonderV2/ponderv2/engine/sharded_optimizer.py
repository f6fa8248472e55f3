"""An optimizer whose state is divided among the processes (ZeRO, stage 1), with checkpoints that have all of it."""

import torch
from mmengine.optim import OptimWrapper
from torch.distributed.optim import ZeroRedundancyOptimizer

from ponderv2.errors import UserError
from ponderv2.registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class ShardedOptimizer(ZeroRedundancyOptimizer):
    """Torch's `ZeroRedundancyOptimizer` (Rajbhandari et al. 2020, stage 1) of an optimizer that is named.

    Each process holds the state of its share of the parameters, makes their step and sends them to the others. mmengine
    has such a class too, whose checkpoints wait forever: all processes have to gather the state, and mmengine asks the
    first alone. `BuildingRunner` gathers it (`gather_state`), so checkpoints are those of the optimizer alone.

    Args:
        params: parameters, or groups of them.
        optimizer: name of an optimizer of torch: "AdamW".
        **kwargs: its arguments.

    Raises:
        UserError: there is no such optimizer, or no group of processes.
    """

    def __init__(self, params, optimizer: str = "AdamW", **kwargs: object) -> None:
        kind = getattr(torch.optim, optimizer, None)
        if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
            raise UserError(f"ShardedOptimizer: optimizer: expected one of torch.optim, as 'AdamW', got {optimizer!r}")
        if not torch.distributed.is_initialized():
            raise UserError(
                "ShardedOptimizer divides its state among processes, and there is one alone; start several with "
                "torchrun and --launcher pytorch"
            )
        super().__init__(list(params), optimizer_class=kind, **kwargs)


def gather_state(wrapper: OptimWrapper) -> None:
    """Send the state of a `ShardedOptimizer` to the first process, which writes checkpoints; all have to call this."""
    if isinstance(getattr(wrapper, "optimizer", None), ShardedOptimizer):
        wrapper.optimizer.consolidate_state_dict(to=0)
