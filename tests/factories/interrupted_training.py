"""A training of milliseconds that draws everywhere, interrupted and resumed in this process."""

import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.dist import barrier
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import Tensor, nn

from ponderv2.checkpoints import checkpoint_to_resume
from ponderv2.datasets import SwitchableTransform
from ponderv2.engine.held_log import BuildingRunner
from ponderv2.engine.stop_signals import REQUEUE

EPOCHS, FRAMES, BATCH = 4, 12, 2
STEPS = EPOCHS * FRAMES // BATCH


class Noise(SwitchableTransform):
    """Draws from all generators of the process that prepares the sample."""

    def transform(self, results: dict) -> dict:
        noise = torch.rand(3) + random.random() + torch.from_numpy(np.random.rand(3)).float()
        return results | {"x": results["x"] + noise}


class Frames(BaseDataset):
    def load_data_list(self) -> list[dict]:
        return [{"x": torch.full((3,), k / FRAMES)} for k in range(FRAMES)]


class Model(BaseModel):
    """Has running statistics, dropout, and a mask that is drawn from each library."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))

    def forward(self, x: Sequence[Tensor], mode: str = "loss", **_) -> dict[str, Tensor] | list[dict]:
        if mode == "predict":
            return [{"prediction": self.layers(torch.stack(list(x)))}]
        x = torch.stack(list(x)) * torch.rand(3) * random.random() * float(np.random.rand())
        return {"loss": (self.layers(x) - 1).square().mean()}


class KilledError(BaseException):
    """Not an exception that anything would catch."""


class Recorder(Hook):
    """Keeps the losses, and kills the training after one of its iterations, or stops it by a signal."""

    priority = "VERY_LOW"

    def __init__(self, losses: dict[int, float], kill_after: int | None, stop: signal.Signals | None) -> None:
        self.losses, self.kill_after, self.stop = losses, kill_after, stop

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        loss = outputs["loss"].item()
        # What is trained again after a kill has the same loss again.
        assert self.losses.setdefault(runner.iter, loss) == loss
        if runner.iter + 1 != self.kill_after:
            return
        if self.stop is None:
            raise KilledError
        os.kill(os.getpid(), self.stop)


def train(
    folder: Path,
    kills: Sequence[int] = (),
    stop: signal.Signals | None = None,
    sends: bool = True,
    **settings: object,
) -> tuple[dict[int, float], dict]:
    """Train, killed after these iterations and resumed; returns the losses by iteration and the last checkpoint.

    Args:
        folder: the work dir.
        kills: iterations, counted from 1.
        stop: a signal that takes the place of the kills.
        sends: whether this process is the one that gets the signal.
        settings: arguments of `runner_of`.
    """
    losses: dict[int, float] = {}
    for part, kill in enumerate([*kills, None]):
        runner = runner_of(folder, part, **settings)
        runner.register_hook(Recorder(losses, kill if sends else None, stop))
        with nullcontext() if kill is None else pytest.raises(ended_by(stop)) as ended:
            runner.train()
        if kill is not None and isinstance(ended.value, SystemExit):
            assert ended.value.code == REQUEUE
        runner.train_dataloader._iterator = None
        barrier()
    return losses, torch.load(checkpoint_to_resume(folder), weights_only=False)


class Slow(Hook):
    """Lets an iteration take a moment, in which signals come."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        time.sleep(0.3)


def ended_by(stop: signal.Signals | None) -> type[BaseException]:
    """Return what ends a training that is killed, or gets a signal."""
    return {None: KilledError, signal.SIGINT: KeyboardInterrupt}.get(stop, SystemExit)


def runner_of(
    folder: Path,
    part: int,
    by_epoch: bool = True,
    workers: int = 0,
    interval: int = 1,
    loader: dict | None = None,
    **more: object,
) -> BuildingRunner:
    """Build the runner of one part of a training, which resumes where there is a checkpoint; `more` are its arguments.

    Args:
        folder: the work dir.
        part: number of the part.
        by_epoch: whether it goes by epochs, and not by iterations without end.
        workers: number of processes that load data.
        interval: epochs or iterations from checkpoint to checkpoint.
        loader: more settings of the data loader.
    """
    # Whatever was drawn before in this process must not matter.
    torch.manual_seed(0 if part == 0 else 100 + part)
    found = checkpoint_to_resume(folder)
    sampler = "DefaultSampler" if by_epoch else "InfiniteSampler"
    settings = dict(
        train_dataloader=dict(
            dataset=dict(type=Frames, pipeline=[Noise()], serialize_data=False),
            batch_size=BATCH,
            num_workers=workers,
            persistent_workers=workers > 0,
            sampler=dict(type=sampler, shuffle=True),
            collate_fn=pseudo_collate,
        )
        | (loader or {}),
        train_cfg=dict(by_epoch=True, max_epochs=EPOCHS) if by_epoch else dict(by_epoch=False, max_iters=STEPS),
        optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.05)),
        param_scheduler=[
            dict(type="CosineAnnealingLR", T_max=STEPS, by_epoch=False),
            dict(type="MultiStepLR", milestones=[2], by_epoch=by_epoch),
        ],
        default_hooks=dict(
            logger=None, checkpoint=dict(type="CheckpointHook", by_epoch=by_epoch, interval=interval, max_keep_ckpts=1)
        ),
        randomness=dict(seed=3),
        resume=found is not None,
        load_from=found and str(found),
        experiment_name=f"{folder.parent.name}_{folder.name}_{part}",
        default_scope="mmengine",
        log_level="ERROR",
    )
    return BuildingRunner(Model(), str(folder), **(settings | more))


def same(ours: object, theirs: object) -> bool:
    """Whether two values of checkpoints are equal, bit by bit."""
    if isinstance(ours, Tensor):
        return isinstance(theirs, Tensor) and torch.equal(ours, theirs)
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(v, theirs[k]) for k, v in ours.items())
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return bool(np.all(ours == theirs))
