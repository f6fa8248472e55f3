"""The output of an encoder: a volume, and losses of its own where there are any."""

import torch

from ponderv2.structures import EncoderOutput, FeatureVolume, VoxelGrid

GRID = VoxelGrid((-4, -3, -1, 4, 3, 1), (8, 6, 2))


def test_there_are_no_losses_unless_given():
    volume = FeatureVolume(torch.rand(1, 5, 2, 6, 8), GRID)
    first, second = EncoderOutput(volume), EncoderOutput(volume)
    assert first.volume is volume
    assert first.losses == {}
    assert first.losses is not second.losses


def test_losses_are_kept_by_name():
    losses = {"loss_lift_depth": torch.tensor(2.0)}
    assert EncoderOutput(FeatureVolume(torch.rand(1, 5, 2, 6, 8), GRID), losses).losses is losses


def test_a_volume_that_is_not_asked_for_is_not_computed_and_one_that_is_once():
    computed = []

    def compute() -> FeatureVolume:
        computed.append(FeatureVolume(torch.rand(1, 5, 2, 6, 8), GRID))
        return computed[-1]

    output = EncoderOutput(compute)
    assert computed == []
    assert output.volume is output.volume
    assert len(computed) == 1
