"""Learning rates are compared with, and scaled to, all frames of a step."""

from logging import Logger
from unittest.mock import create_autospec

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch.nn import Parameter
from torch.optim import SGD

from ponderv2.engine.step_batch import scale_of_steps, tell_of_batch


@pytest.mark.parametrize(
    ("batch", "accumulated", "enable", "told"),
    [
        (1, 1, False, "warning: the batch is 2 (2 processes with 1), the learning rates are those of 8;"),
        (
            1,
            2,
            False,
            "warning: the batch is 4 (2 processes with 1, 2 times a step), the learning rates are those of 8;",
        ),
        (4, 1, False, ""),
        (1, 4, False, ""),
        (1, 1, True, ""),
    ],
)
def test_a_batch_that_is_not_that_of_the_rates_is_told(capsys, batch, accumulated, enable, told):
    runner = _runner_of_batch(batch, accumulated, enable)
    tell_of_batch(runner)
    line = capsys.readouterr().out
    assert line.startswith(told)
    assert bool(line) == bool(told)


@pytest.mark.parametrize(("batch", "accumulated", "rate"), [(1, 1, 0.25), (1, 4, 1.0), (4, 1, 1.0), (4, 2, 2.0)])
def test_rates_are_scaled_with_all_frames_of_a_step(batch, accumulated, rate):
    runner = _runner_of_batch(batch, accumulated, enable=True)
    runner.logger, runner.param_schedulers = create_autospec(Logger), None
    runner._train_dataloader = dict(batch_size=batch)
    wrapper = OptimWrapper(SGD([Parameter(torch.zeros(()))], lr=1.0), accumulative_counts=accumulated)
    Runner.scale_lr(runner, wrapper, scale_of_steps(runner))
    assert wrapper.get_lr() == {"lr": [rate]}


def _runner_of_batch(batch: int, accumulated: int, enable: bool) -> Runner:
    runner = create_autospec(Runner, instance=True)
    wrapper = dict(accumulative_counts=accumulated) if accumulated > 1 else {}
    runner.cfg = Config(dict(train_dataloader=dict(batch_size=batch), optim_wrapper=wrapper))
    runner.auto_scale_lr, runner.world_size = dict(enable=enable, base_batch_size=8), 2
    return runner
