"""Schedules that are longer than the training are told of, once; shorter ones of one cycle are refused."""

from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from mmengine.optim import LinearLR, OneCycleLR
from mmengine.runner import Runner

from ponderv2.engine import GroupOneCycleLR
from ponderv2.engine.schedule_checks import check_schedules
from ponderv2.errors import UserError


def _optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1)], lr=0.1)


def _check(*schedulers, iters: int = 300, epochs: int = 3, rank: int = 0, cfg: dict | None = None) -> None:
    runner = Mock(
        spec=Runner, param_schedulers=list(schedulers), max_iters=iters, max_epochs=epochs, rank=rank, cfg=cfg or {}
    )
    check_schedules(runner, Path("recipe.py"))


def test_a_training_that_ends_before_its_cycle_has_one_line_with_the_setting_to_change(capsys):
    cycle = OneCycleLR(_optimizer(), eta_max=0.1, total_steps=300, by_epoch=False)
    _check(cycle, iters=300)
    assert capsys.readouterr().out == ""
    _check(cycle, iters=100)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("warning: the training ends at 100 of the 300 steps of param_scheduler[0], ")
    assert line.endswith("a shorter train_cfg wants its total_steps changed as well")
    _check(cycle, iters=100, rank=1)
    assert capsys.readouterr().out == ""


def test_schedules_that_were_made_from_epochs_are_told_of_by_their_end_all_in_one_line(capsys):
    kept = {"begin": 0, "by_epoch": True, "epoch_length": 100}
    cycle = OneCycleLR.build_iter_from_epoch(_optimizer(), eta_max=0.1, end=3, **kept)
    rising = LinearLR.build_iter_from_epoch(_optimizer(), start_factor=0.5, end=2, **kept)
    _check(cycle, rising)
    assert capsys.readouterr().out == ""
    _check(rising, cycle, iters=150, epochs=1)
    (line,) = capsys.readouterr().out.splitlines()
    assert "ends at 150 of the 200 steps of param_scheduler[0] (and 1 more)" in line
    assert line.endswith("its end changed as well")


def test_a_schedule_by_epochs_is_compared_with_epochs_and_one_without_an_end_with_nothing(capsys):
    _check(LinearLR(_optimizer(), start_factor=0.5, by_epoch=True, end=3), LinearLR(_optimizer(), by_epoch=False))
    assert capsys.readouterr().out == ""
    _check(LinearLR(_optimizer(), start_factor=0.5, by_epoch=True, end=4))
    assert "at 3 of the 4 steps" in capsys.readouterr().out


def test_a_cycle_that_is_over_before_the_training_is_refused():
    with pytest.raises(UserError, match=r"param_scheduler\[0\]\.total_steps is 300, but the training has 400 steps"):
        _check(OneCycleLR(_optimizer(), eta_max=0.1, total_steps=300, by_epoch=False), iters=400)


def test_mmengines_cycle_beside_a_rate_of_its_own_is_refused():
    cfg = {"optim_wrapper": {"paramwise_cfg": {"custom_keys": {"encoder": {"lr_mult": 0.2}}}}}
    arguments = dict(eta_max=0.1, total_steps=300, by_epoch=False)
    with pytest.raises(UserError, match=r"lr_mult of 'encoder' has no effect; use ponderv2.engine.GroupOneCycleLR"):
        _check(OneCycleLR(_optimizer(), **arguments), cfg=cfg)
    _check(GroupOneCycleLR(_optimizer(), **arguments), cfg=cfg)
    _check(OneCycleLR(_optimizer(), **(arguments | {"eta_max": [0.1]})), cfg=cfg)
    cfg["optim_wrapper"]["paramwise_cfg"]["custom_keys"]["encoder"] = {"decay_mult": 0.0}
    _check(OneCycleLR(_optimizer(), **arguments), cfg=cfg)
