"""Losses that are gathered for the log: the same log as mmengine's, with one transfer for many iterations."""

import logging
from unittest.mock import Mock

import pytest
import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ponderv2.engine import GatheredRuntimeInfoHook
from ponderv2.engine.hooks import gathered_losses

INTERVAL, ITERATIONS = 4, 10


class _Model(BaseModel):
    """A model whose losses count how often they are read as numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs, mode):
        return {"loss_a": self.weight * inputs.sum(), "loss_b": self.weight.square(), "opacity": inputs.mean()}


def _train(tmp_path, hook, name, loop, monkeypatch):
    lines, reads = [], []
    item = torch.Tensor.item
    monkeypatch.setattr(torch.Tensor, "item", lambda self: reads.append(1) or item(self))
    cfg = dict(by_epoch=True, max_epochs=2) if loop == "epochs" else dict(by_epoch=False, max_iters=ITERATIONS)
    torch.manual_seed(0)
    runner = Runner(
        model=_Model(),
        work_dir=str(tmp_path / name),
        experiment_name=name,
        train_dataloader=DataLoader([{"inputs": torch.arange(2.0) + i} for i in range(5)], batch_size=1),
        train_cfg=cfg,
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.01)),
        default_hooks=dict(
            runtime_info=dict(type=hook),
            logger=dict(type=LoggerHook, interval=INTERVAL, ignore_last=False),
            checkpoint=dict(type="CheckpointHook", interval=3, by_epoch=False),
        ),
        log_processor=dict(window_size=3, by_epoch=loop == "epochs"),
        log_level="WARNING",
    )
    runner.logger = logging.getLogger(name)
    monkeypatch.setattr(runner.logger, "info", lines.append, raising=False)
    runner.train()
    monkeypatch.undo()
    history = {
        key: buffer.data[0].tolist()
        for key, buffer in runner.message_hub.log_scalars.items()
        if key.startswith("train/") and "time" not in key
    }
    saved = torch.load(tmp_path / name / "iter_3.pth", weights_only=False)["message_hub"]["log_scalars"]
    return history, len(reads), len(saved["train/loss"].data[0])


@pytest.mark.parametrize("loop", ["epochs", "iterations"])
def test_the_log_and_its_copy_in_checkpoints_are_mmengines(tmp_path, loop, monkeypatch):
    own = _train(tmp_path, RuntimeInfoHook, f"own_{loop}", loop, monkeypatch)
    gathered = _train(tmp_path, GatheredRuntimeInfoHook, f"gathered_{loop}", loop, monkeypatch)
    assert own[0].keys() == gathered[0].keys() >= {"train/loss", "train/loss_a", "train/loss_b", "train/opacity"}
    for key, values in own[0].items():
        assert gathered[0][key] == pytest.approx(values), key
        assert len(values) == ITERATIONS
    assert own[2] == gathered[2] == 3
    # Four values an iteration.
    assert own[1] - gathered[1] == 4 * ITERATIONS


def test_what_is_left_is_handed_over_before_validation():
    hook = GatheredRuntimeInfoHook()
    hub = MessageHub.get_instance("left over")
    runner = Mock(spec=Runner, message_hub=hub)
    hub.update_info("loop_stage", "train")
    hook._kept = [{"loss": torch.tensor(2.0), "lr": 0.5}]
    hook.before_val(runner)
    assert hub.get_scalar("train/loss").current() == 2.0
    assert hub.get_scalar("train/lr").current() == 0.5


def test_losses_of_any_shape_with_one_number_are_handed_over_in_their_order():
    hook = GatheredRuntimeInfoHook()
    hub = MessageHub.get_instance("shapes")
    hook._kept = [{"loss": torch.tensor(2.0), "row": torch.tensor([3.0]), "whole": torch.tensor([[4]])}]
    hook._hand_over(Mock(spec=Runner, message_hub=hub))
    assert [hub.get_scalar(f"train/{name}").current() for name in ("loss", "row", "whole")] == [2.0, 3.0, 4.0]


class _Elsewhere(torch.Tensor):
    """A number that says it is on another device."""

    device = property(lambda self: self.place)

    def reshape(self, shape):
        return self.as_subclass(torch.Tensor).reshape(shape)


def _elsewhere(value: float, device: str) -> torch.Tensor:
    tensor = torch.tensor(value).as_subclass(_Elsewhere)
    tensor.place = torch.device(device)
    return tensor


def test_losses_of_several_devices_are_read_device_by_device(monkeypatch):
    stacked = []
    stack = torch.stack
    monkeypatch.setattr(torch, "stack", lambda tensors: stacked.append(len(tensors)) or stack(tensors))
    given = [_elsewhere(1.0, "cpu"), _elsewhere(2.0, "cuda:0"), _elsewhere(3.0, "cpu"), _elsewhere(4.0, "cuda:1")]
    assert gathered_losses._numbers(given) == [1.0, 2.0, 3.0, 4.0]
    assert stacked == [2, 1, 1]
