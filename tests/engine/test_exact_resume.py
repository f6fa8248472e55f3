"""A training that is killed and resumed is the undisturbed one, bit by bit."""

import pytest

from tests.factories.interrupted_training import same, train

RESUMED = ("state_dict", "optimizer", "param_schedulers", "ema_state_dict", "sampler")


def _check(tmp_path, kills, **settings):
    losses, checkpoint = train(tmp_path / "whole", **settings)
    again, resumed = train(tmp_path / "killed", kills, **settings)
    assert again == losses
    assert len(set(losses.values())) == len(losses)
    for key in RESUMED:
        assert same(resumed.get(key), checkpoint.get(key)), key


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("by_epoch", "interval"), [(True, 1), (False, 3)])
def test_a_killed_training_goes_on_bit_by_bit(tmp_path, by_epoch, interval, workers):
    _check(tmp_path, (6, 7, 16), by_epoch=by_epoch, interval=interval, workers=workers)
