"""One cycle with groups of parameters: rates keep their ratio, where mmengine's own loses it."""

import pytest
import torch
from mmengine.optim import OneCycleLR, OptimWrapper

from ponderv2.engine import GroupOneCycleLR


def rates(scheduler: type, wrapped: bool, steps: int = 10, **changes) -> list[tuple[float, float]]:
    """Rates of an encoder at a fifth of the rate and of a head, before each step."""
    groups = [{"params": [torch.zeros(1)], "lr": 0.02}, {"params": [torch.zeros(1)]}]
    optimizer = torch.optim.AdamW(groups, lr=0.1)
    groups = optimizer.param_groups[:]  # mmengine's wrapper adds one of no parameters
    cycle = scheduler(
        OptimWrapper(optimizer) if wrapped else optimizer, **({"eta_max": 0.1, "total_steps": steps} | changes)
    )
    found = []
    for _ in range(steps):
        found.append(tuple(group["lr"] for group in groups))
        optimizer.step()
        cycle.step()
    return found


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_group_keeps_its_ratio_and_the_others_are_those_of_mmengine(wrapped):
    ours, theirs = rates(GroupOneCycleLR, wrapped), rates(OneCycleLR, wrapped)
    assert [head for _, head in ours] == [head for _, head in theirs]
    assert max(head for _, head in ours) == pytest.approx(0.1)
    assert [encoder for encoder, _ in ours] == pytest.approx([head / 5 for _, head in ours])
    assert theirs[2][0] == theirs[2][1]  # mmengine's own: the ratio is gone


def test_rates_that_are_given_for_each_group_are_kept():
    assert rates(GroupOneCycleLR, False, eta_max=[0.3, 0.1]) == rates(OneCycleLR, False, eta_max=[0.3, 0.1])
