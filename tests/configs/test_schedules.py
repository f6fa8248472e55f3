"""Learning rates and momenta over whole trainings are those that the recipes state."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

BASES = Path(__file__).parents[2] / "configs" / "_base_"
EPOCH = 50


def schedule(name: str) -> tuple[list[float], list[float]]:
    """Learning rate and first momentum at every step."""
    config = Config.fromfile(str(BASES / f"{name}.py"))
    wrapper = build_optim_wrapper(nn.Linear(1, 1), config.optim_wrapper)
    schedulers = []
    for part in config.param_scheduler:
        part = dict(part)
        kind = part.pop("type")
        convert = part.pop("convert_to_iter_based")
        assert convert
        schedulers.append(kind.build_iter_from_epoch(optimizer=wrapper, epoch_length=EPOCH, **part))
    rates, momenta = [], []
    for _ in range(config.max_epochs * EPOCH):
        rates.append(wrapper.param_groups[0]["lr"])
        momenta.append(wrapper.param_groups[0]["betas"][0])
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    return rates, momenta


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *args, **kwargs: None)
    assert PARAM_SCHEDULERS is not None


def test_the_lidar_schedule_rises_tenfold_over_40_percent_and_falls():
    rates, momenta = schedule("schedule_lidar_12e")
    peak = round(0.4 * len(rates))
    assert rates[0] == pytest.approx(2e-5)
    assert max(rates) == pytest.approx(2e-4, rel=1e-3)
    assert abs(rates.index(max(rates)) - peak) <= 1
    assert rates[peak // 2] == pytest.approx(1.1e-4, rel=0.01)
    assert rates[-1] < 1e-7
    assert momenta[0] == pytest.approx(0.9)
    assert min(momenta) == pytest.approx(0.9 * 0.85 / 0.95, rel=1e-3)
    assert abs(momenta.index(min(momenta)) - peak) <= 1
    assert momenta[-1] == pytest.approx(0.9, abs=1e-3)


def test_the_one_cycle_schedule_peaks_at_40_percent_and_ends_at_a_thousandth():
    rates, _ = schedule("schedule_onecycle_24e")
    assert rates[0] == pytest.approx(2e-5)
    assert max(rates) == pytest.approx(2e-4, rel=1e-3)
    assert abs(rates.index(max(rates)) - 0.4 * len(rates)) <= 1
    assert rates[-1] == pytest.approx(2e-7, rel=0.05)
    middle = rates[round(0.7 * len(rates))]
    assert middle == pytest.approx(2e-7 + (2e-4 - 2e-7) * (1 + math.cos(math.pi / 2)) / 2, rel=0.05)
