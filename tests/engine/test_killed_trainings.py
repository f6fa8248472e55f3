"""Recipes whose processes are killed at ten iterations, one after another, end as the undisturbed training."""

import random

import pytest
import torch

from tests.factories.killed_trainings import STEPS, losses, tiny_recipe, train, weights


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["camera", "lidar", "segmentation"])
def test_ten_kills_change_no_bit(kind, streets, tmp_path):
    recipe = tiny_recipe(kind, streets, tmp_path)
    kills = sorted(random.Random(kind).sample(range(1, STEPS), 10))
    train(recipe, tmp_path / "whole")
    train(recipe, tmp_path / "killed", kills)
    whole = losses(tmp_path / "whole")
    assert set(whole) == set(range(1, STEPS + 1))
    assert losses(tmp_path / "killed") == whole
    ours, theirs = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
