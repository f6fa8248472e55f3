"""A training that is killed and resumed is the undisturbed one, bit by bit."""

import signal

import pytest

from ponderv2.checkpoints import INTERRUPTED
from ponderv2.engine import DisableTransformsHook
from tests.factories.interrupted_training import Noise, same, train

RESUMED = ("state_dict", "optimizer", "param_schedulers", "ema_state_dict", "sampler")


def _check(tmp_path, kills, **settings):
    losses, checkpoint = train(tmp_path / "whole", **settings)
    again, resumed = train(tmp_path / "killed", kills, **settings)
    assert again == losses
    assert len(set(losses.values())) == len(losses)
    for key in RESUMED:
        assert same(resumed.get(key), checkpoint.get(key)), key


@pytest.mark.parametrize(("by_epoch", "interval", "workers"), [(True, 1, 0), (False, 3, 2)])
def test_a_killed_training_goes_on_bit_by_bit(tmp_path, by_epoch, interval, workers):
    _check(tmp_path, (6, 7, 16), by_epoch=by_epoch, interval=interval, workers=workers)


# In the middle of an epoch, and after its last iteration.
@pytest.mark.parametrize(("stop", "after"), [("SIGTERM", (7, 8)), ("SIGUSR1", (10,)), ("SIGINT", (3,))])
def test_a_signal_leaves_a_checkpoint_of_its_iteration(tmp_path, stop, after):
    _check(tmp_path, after, stop=signal.Signals[stop])
    assert not (tmp_path / "killed" / INTERRUPTED).exists()


def test_gradients_that_wait_for_their_step_averages_and_switches_are_kept(tmp_path):
    _check(
        tmp_path,
        (7, 11, 12),
        stop=signal.SIGTERM,
        optim_wrapper=dict(accumulative_counts=3),
        hooks=[
            dict(type="EMAHook", momentum=0.2, begin_iter=2),
            DisableTransformsHook(after=2, transforms=[Noise]),
        ],
    )


def test_samples_hang_on_no_number_of_workers(tmp_path):
    losses, checkpoint = train(tmp_path / "none", by_epoch=False)
    for workers, loader in ((1, dict(persistent_workers=False)), (3, dict(prefetch_factor=4))):
        again, other = train(tmp_path / f"{workers}", by_epoch=False, workers=workers, loader=loader)
        assert again == losses
        assert same(other["state_dict"], checkpoint["state_dict"])
