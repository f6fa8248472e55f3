"""A training that is killed and resumed is the undisturbed one, bit by bit."""

import errno
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import distributed

from ponderv2.checkpoints import INTERRUPTED, checkpoint_to_resume
from ponderv2.compat.cpu_distributed import install_cpu_distributed
from ponderv2.engine import DisableTransformsHook
from ponderv2.engine.seeded_samples import seed_all
from ponderv2.engine.stop_signals import REQUEUE
from ponderv2.errors import UserError
from tests.factories.interrupted_training import Noise, Recorder, Slow, runner_of, same, train
from tests.factories.processes import forked, run_two_processes, wait_for

RESUMED = ("state_dict", "optimizer", "param_schedulers", "ema_state_dict", "sampler", "ranks")


def _check(tmp_path, kills, stop=None, sends=True, **settings):
    losses, checkpoint = train(tmp_path / "whole", **settings)
    again, resumed = train(tmp_path / "killed", kills, stop, sends, **settings)
    assert again == losses
    assert len(set(losses.values())) == len(losses)
    for key in RESUMED:
        assert same(resumed.get(key), checkpoint.get(key)), key


FINITE = dict(sampler=dict(type="DefaultSampler", shuffle=True))


@pytest.mark.parametrize(
    ("by_epoch", "interval", "workers", "loader"), [(True, 1, 0, None), (False, 3, 2, None), (False, 1, 0, FINITE)]
)
def test_a_killed_training_goes_on_bit_by_bit(tmp_path, by_epoch, interval, workers, loader):
    _check(tmp_path, (8, 9, 20), by_epoch=by_epoch, interval=interval, workers=workers, loader=loader)


# In the middle of an epoch, and after its last iteration.
@pytest.mark.parametrize(("stop", "after"), [("SIGTERM", (7, 8)), ("SIGUSR1", (12,)), ("SIGINT", (3,))])
def test_a_signal_leaves_a_checkpoint_of_its_iteration(tmp_path, stop, after):
    _check(tmp_path, after, stop=signal.Signals[stop])
    assert not (tmp_path / "killed" / INTERRUPTED).exists()


def test_gradients_that_wait_for_their_step_averages_and_switches_are_kept(tmp_path):
    _check(
        tmp_path,
        (7, 11, 14),
        optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.05), accumulative_counts=4),
        custom_hooks=[
            dict(type="EMAHook", momentum=0.2, begin_iter=2),
            DisableTransformsHook(after=2, transforms=[Noise]),
        ],
    )


def test_a_signal_stops_after_a_step_of_the_optimizer_so_that_no_gradients_wait(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    settings = dict(optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.05), accumulative_counts=4))
    losses, _ = train(whole, **settings)
    runner = runner_of(killed, 0, **settings)
    runner.register_hook(Recorder({}, 7, signal.SIGTERM))
    with pytest.raises(SystemExit):
        runner.train()
    stopped = torch.load(killed / INTERRUPTED, weights_only=False)
    assert (stopped["meta"]["iter"], stopped["ranks"][0]["gradients"]) == (8, {})
    again, _ = train(killed, **settings)
    assert again == {k: loss for k, loss in losses.items() if k >= 8}


def test_an_iteration_and_a_sample_draw_from_different_generators(tmp_path, monkeypatch):
    keys: list[tuple[int, ...]] = []
    for module in ("ponderv2.engine.seeded_samples", "ponderv2.engine.hooks.exact_resume"):
        monkeypatch.setattr(f"{module}.seed_all", lambda *key: (keys.append(key), seed_all(*key)))
    train(tmp_path)
    # `SeedSequence` pads keys with 0.
    padded = {key + (0,) * (4 - len(key)) for key in keys}
    assert len(padded) == len(keys) == 3 * 24


def test_samples_hang_on_no_number_of_workers(tmp_path):
    losses, checkpoint = train(tmp_path / "none", by_epoch=False)
    ahead = dict(persistent_workers=False, prefetch_factor=4)
    again, other = train(tmp_path / "two", by_epoch=False, workers=2, loader=ahead)
    assert again == losses
    assert same(other["state_dict"], checkpoint["state_dict"])


def test_a_signal_to_all_processes_waits_for_the_iteration(tmp_path):
    """As Slurm sends it: to the training and to those that load its data, and then once more."""
    work_dir = tmp_path / "work"
    training = partial(train, work_dir, by_epoch=False, workers=2, custom_hooks=[Slow()])
    with forked(training, tmp_path / "errors.txt") as process:
        wait_for((work_dir / "iter_2.pth").is_file, 60)
        for number in (signal.SIGUSR1, signal.SIGTERM):
            os.killpg(process.pid, number)
            time.sleep(0.01)
        process.join(60)
    assert process.exitcode == REQUEUE, (tmp_path / "errors.txt").read_text()
    assert checkpoint_to_resume(work_dir) == work_dir / INTERRUPTED


def test_of_two_processes_each_goes_on_with_its_own_state(tmp_path):
    """One of them gets the signals, and both stop after the same iteration."""
    run_two_processes(_check_rank, tmp_path)


def test_of_two_processes_none_asks_to_be_started_again_if_the_checkpoint_could_not_be_written(tmp_path):
    run_two_processes(_stop_on_full_disk, tmp_path)


def _stop_on_full_disk(folder: Path, rank: int) -> None:
    _join_group(folder, rank)
    runner = runner_of(folder / "work", 0, launcher="pytorch")
    runner.register_hook(Recorder({}, 1, signal.SIGUSR1))
    expected = (OSError, "No space left") if rank == 0 else (UserError, "the main process could not write .*interr")
    # This process is the test's own, and ends with it.
    torch.save = partial(_no_space, torch.save)
    with pytest.raises(expected[0], match=expected[1]):
        runner.train()


def _no_space(save: Callable, *given: object, **options: object) -> None:
    # Tensors that go to another process are pickled by it, too, with options.
    if options:
        return save(*given, **options)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _join_group(folder: Path, rank: int) -> None:
    os.environ |= {"RANK": f"{rank}", "LOCAL_RANK": f"{rank}", "WORLD_SIZE": "2"}
    distributed.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2)
    install_cpu_distributed()


def _check_rank(folder: Path, rank: int) -> None:
    _join_group(folder, rank)
    _check(
        folder,
        (2, 6, 9),
        signal.SIGTERM,
        sends=rank == 1,
        launcher="pytorch",
        randomness=dict(seed=3, diff_rank_seed=True),
        optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.05), accumulative_counts=2),
    )
