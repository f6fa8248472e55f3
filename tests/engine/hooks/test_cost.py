"""The cost of a training: in the log, in a file, in the header of the encoder, and added up when it is resumed."""

import json
from pathlib import Path

import pytest
import torch

from ponderv2.engine import CostHook
from ponderv2.engine.hooks import cost
from tests.factories.small_training import Frames, Line, small_runner


class _Clock:
    """Goes on by a second with every frame that is loaded, and by half of one with every forward pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def __deepcopy__(self, memo: dict) -> "_Clock":
        # The runner copies the data set.
        return self

    def load(self, index: int) -> None:
        self.now += 1.0

    def compute(self, loss, inputs):
        self.now += 0.5
        return loss


@pytest.fixture(autouse=True)
def _memory(monkeypatch):
    monkeypatch.setattr(cost, "peak_memory", lambda: 3.5)


def _train(folder, steps: int, resume: bool = False) -> dict:
    clock = _Clock()
    hooks = [dict(type=CostHook, clock=clock), dict(type="CheckpointHook", by_epoch=False, interval=2)]
    runner = small_runner(folder, Frames(20, clock.load), hooks, Line(clock.compute), steps, resume=resume)
    runner.train()
    scalars = runner.message_hub.log_scalars
    assert scalars["train/samples_per_second"].current() == pytest.approx(2 / 2.5)
    assert scalars["train/peak_memory_gib"].current() == 3.5
    return json.loads((folder / "cost.json").read_text())


def test_the_record_tells_time_data_memory_and_hours_and_goes_on_when_resumed(tmp_path):
    record = _train(tmp_path, 4)
    assert record == {
        "seconds_per_iteration": 2.5,
        "data_seconds": 2.0,
        "samples_per_second": 0.8,
        "peak_memory_gib": 3.5,
        "cpu_hours": pytest.approx(10 / 3600, abs=1e-5),
        "iterations": 4,
        "processes": 1,
        "device": "cpu",
    }
    # The first half ran in four processes.
    saved = Path((tmp_path / "last_checkpoint").read_text())
    first = torch.load(saved, weights_only=False)
    first["message_hub"]["runtime_info"][cost.COST]["process_seconds"] *= 4
    torch.save(first, saved)
    again = _train(tmp_path, 8, resume=True)
    assert again["iterations"] == 8
    assert again["cpu_hours"] == pytest.approx(50 / 3600, abs=1e-5)
    assert again["seconds_per_iteration"] == 2.5
