"""A signal ends a validation whose checkpoint is there; the resumed training repeats it, and is the undisturbed one."""

import os
import signal
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import barrier, get_rank
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import distributed

from ponderv2.checkpoints import INTERRUPTED, checkpoint_to_resume
from ponderv2.compat.cpu_distributed import install_cpu_distributed
from ponderv2.engine.hooks import EncoderExportHook, StopOnSignalHook
from ponderv2.engine.stop_signals import REQUEUE, StopSignals
from tests.factories.interrupted_training import FRAMES, STEPS, Frames, runner_of, same
from tests.factories.processes import run_two_processes

EPOCH = STEPS // 4


class Count(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return {"frames": len(results)}


class Fewer:
    """Gives the first process all frames and the second five of them, as whole scenes do."""

    def __init__(self, dataset, seed=None):
        self.count = FRAMES if get_rank() == 0 else 5

    def __iter__(self):
        return iter(range(self.count))

    def __len__(self):
        return self.count


class Signaled(Hook):
    """Sends a signal in the third batch of a validation, and counts what is validated by iteration of training."""

    def __init__(self, at: int | None) -> None:
        self.at, self.validated = at, {}

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.validated[runner.iter] = batch_idx + 1
        if runner.iter == self.at and batch_idx == 2:
            os.kill(os.getpid(), signal.SIGUSR1)


def _train(folder: Path, part: int = 0, at: int | None = None, interval: int = 1, **settings) -> dict[int, int]:
    runner = runner_of(
        folder,
        part,
        interval=interval,
        val_dataloader=dict(
            dataset=dict(type=Frames, serialize_data=False),
            batch_size=1,
            num_workers=0,
            sampler=dict(type=Fewer),
            collate_fn=pseudo_collate,
        ),
        val_cfg=dict(),
        val_evaluator=dict(type=Count),
        **settings,
    )
    hook = Signaled(at)
    runner.register_hook(hook)
    if at is None:
        runner.train()
    else:
        with pytest.raises(SystemExit) as ended:
            runner.train()
        assert ended.value.code == REQUEUE
    barrier()
    return hook.validated


def _last(folder: Path) -> dict:
    return torch.load(checkpoint_to_resume(folder), weights_only=False)


def test_a_validation_is_ended_and_repeated(tmp_path, capsys):
    whole = _train(tmp_path / "whole")
    assert whole == {EPOCH * k: FRAMES for k in range(1, 5)}
    stopped = tmp_path / "stopped"
    assert _train(stopped, at=2 * EPOCH) == {EPOCH: FRAMES, 2 * EPOCH: 3}
    assert f"stopped by SIGUSR1 in the validation after iteration {2 * EPOCH}; --resume" in capsys.readouterr().out
    assert checkpoint_to_resume(stopped) == stopped / "epoch_2.pth"
    # Once more in the one that is repeated, whose checkpoint was written by the process before.
    assert _train(stopped, 1, at=2 * EPOCH) == {2 * EPOCH: 3}
    assert _train(stopped, 2) == {EPOCH * k: FRAMES for k in range(2, 5)}
    ours, theirs = _last(stopped), _last(tmp_path / "whole")
    assert all(same(ours[key], theirs[key]) for key in ("state_dict", "optimizer", "param_schedulers", "ranks"))


def test_in_the_last_validation_it_says_how_to_export_the_encoder_that_is_not_written_yet(tmp_path, capsys):
    runner = Mock(spec=Runner, hooks=[EncoderExportHook()], max_iters=4 * EPOCH, work_dir=str(tmp_path))
    (tmp_path / "last_checkpoint").write_text("epoch_4.pth")
    hook = StopOnSignalHook(Mock(spec=StopSignals, agreed=lambda: signal.SIGUSR1))
    hook._asked = 3
    for before, exports in ((0, True), (1, False)):
        runner.iter = 4 * EPOCH - before
        with pytest.raises(SystemExit):
            hook.after_val_iter(runner, 2)
        said = capsys.readouterr().out
        assert "--resume goes on from epoch_4.pth and repeats it" in said
        assert ("tools/export_encoder.py writes its encoder" in said) == exports


def test_a_validation_without_its_checkpoint_is_finished_and_the_training_stops_after_the_next_iteration(tmp_path):
    validated = _train(tmp_path, at=EPOCH, interval=4)
    assert validated == {EPOCH: FRAMES}
    assert checkpoint_to_resume(tmp_path) == tmp_path / INTERRUPTED
    assert _last(tmp_path)["meta"]["iter"] == EPOCH + 1


def test_two_processes_of_which_one_has_fewer_frames_end_together(tmp_path):
    run_two_processes(_check_rank, tmp_path)


def _check_rank(folder: Path, rank: int) -> None:
    os.environ |= {"RANK": f"{rank}", "LOCAL_RANK": f"{rank}", "WORLD_SIZE": "2"}
    distributed.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2)
    install_cpu_distributed()
    # Of 12 frames, a process trains on 6: an epoch has half the steps.
    steps, frames = EPOCH // 2, FRAMES if rank == 0 else 5
    work = folder / "work"
    # The second alone gets the signal; the first is told in its next batch.
    validated = _train(work, at=2 * steps, launcher="pytorch") if rank == 1 else _stopped(work, 2 * steps)
    assert validated == {steps: frames, 2 * steps: 4}
    assert checkpoint_to_resume(work) == work / "epoch_2.pth"
    assert _train(work, 1, launcher="pytorch") == {steps * k: frames for k in range(2, 5)}


def _stopped(folder: Path, at: int) -> dict[int, int]:
    """Train in a process that gets no signal itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "kill", lambda process, number: None)
        return _train(folder, at=at, launcher="pytorch")
