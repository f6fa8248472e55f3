"""Volumes moved by the car: against a loop over cells, and what stands still stays where it is."""

import math

import pytest
import torch

from ponderv2.errors import UserError
from ponderv2.geometry import flip_matrix, frame_motion, move_volume, rotation_z, scaling_matrix, translation_matrix
from ponderv2.structures import FeatureVolume, VoxelGrid

# The car is not in the middle of the range, and cells are not square.
RANGE = (-8.0, -12.0, -3.0, 16.0, 6.0, 1.0)
MOTION = translation_matrix((1.7, -0.9, 0.4)) @ rotation_z(0.6)


def _read(data, index):
    """Read a volume `[C, Z, Y, X]` at a continuous index (x, y, z); outside there are zeros."""
    total, base = torch.zeros(data.shape[0], dtype=data.dtype), [math.floor(i) for i in index]
    for corner in range(8):
        cell = [base[axis] + (corner >> axis & 1) for axis in range(3)]
        if all(0 <= k < n for k, n in zip(cell, reversed(data.shape[1:]), strict=True)):
            total += (
                math.prod(1 - abs(i - k) for i, k in zip(index, cell, strict=True)) * data[:, cell[2], cell[1], cell[0]]
            )
    return total


@pytest.mark.parametrize("levels", [1, 3])
def test_equals_a_loop_over_cells(levels):
    grid = VoxelGrid(RANGE, (8, 9, levels))
    volume = FeatureVolume(torch.randn(2, 3, *grid.shape, dtype=torch.float64), grid)
    moved = move_volume(volume, torch.stack([torch.eye(4, dtype=torch.float64), MOTION])).data
    expected = torch.zeros_like(volume.data)
    for z, y, x in torch.cartesian_prod(*map(torch.arange, grid.shape)).tolist():
        center = [low + (k + 0.5) * step for low, k, step in zip(RANGE, (x, y, z), grid.voxel_size, strict=False)]
        before = (MOTION @ torch.tensor([*center, 1.0], dtype=torch.float64)).tolist()
        index = [(p - low) / step - 0.5 for p, low, step in zip(before, RANGE, grid.voxel_size, strict=False)]
        # Cells of a plane stand for all heights.
        expected[1, :, z, y, x] = _read(volume.data[1], [*index[:2], 0 if levels == 1 else index[2]])
    assert 0.3 < (expected[1] != 0).double().mean() < 1
    # Places are in float32.
    torch.testing.assert_close(moved[0], volume.data[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(moved[1], expected[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(50, 50, 1), (150, 150, 1), (64, 48, 8)])
@pytest.mark.parametrize(
    "aug", [torch.eye(4, dtype=torch.float64), flip_matrix(True) @ scaling_matrix(1.1) @ rotation_z(0.3)]
)
def test_what_stands_still_stays_in_its_cell_while_the_car_drives_and_turns(size, aug):
    grid = VoxelGrid((-51.2, -51.2, -5.0, 51.2, 51.2, 3.0), size)
    before = translation_matrix((576.8, 493.3, 1.8)) @ rotation_z(-1.2)
    now = translation_matrix((580.9, 490.2, 1.8)) @ rotation_z(-0.85)
    objects = torch.tensor([[30.0, 20.0, -1.0, 1.0], [-25.0, 11.0, 0.5, 1.0], [3.0, -33.0, -2.0, 1.0]]).double()
    place = torch.tensor([590.0, 480.0, 0.8, 0.0]) + objects * torch.tensor([0.5, 0.5, 0.5, 1.0])
    for k, where in enumerate(place):
        seen = [aug @ torch.linalg.inv(pose) @ where for pose in (before, now)]
        # A blob of three cells around the object, as it was seen before.
        distance = (grid.centers(dtype=torch.float64) - seen[0][:3]) / torch.tensor(grid.voxel_size)
        volume = FeatureVolume(torch.exp(-distance.square().sum(dim=-1) / 4)[None, None], grid)
        moved = move_volume(volume, frame_motion(before, now, aug, aug)[None]).data[0, 0]
        weights = moved / moved.sum()
        found = (weights[..., None] * grid.centers(dtype=torch.float64)).sum(dim=(0, 1, 2))
        off = ((found - seen[1][:3]) / torch.tensor(grid.voxel_size)).abs()
        # A plane has no heights, and near the ends of a column the blob is cut off.
        assert off[:2].max() < 0.1, k


def test_a_motion_is_that_of_points_through_augmentation_and_map():
    before, now = (
        translation_matrix((500.0, -3.0, 2.0)) @ rotation_z(0.4),
        translation_matrix((503.0, 1.0, 2.1)) @ rotation_z(0.9),
    )
    augs = rotation_z(0.2) @ scaling_matrix(0.95), flip_matrix(y=True) @ translation_matrix((0.3, 0.1, 0.0))
    point = torch.tensor([510.0, 4.0, 1.0, 1.0], dtype=torch.float64)
    seen_before, seen_now = (
        aug @ torch.linalg.inv(pose) @ point for aug, pose in zip(augs, (before, now), strict=True)
    )
    motion = frame_motion(before, now, *augs)
    assert motion.dtype == torch.float64
    torch.testing.assert_close(motion @ seen_now, seen_before)


def test_half_precision_is_moved_in_single_and_the_published_placement_is_refused():
    grid = VoxelGrid(RANGE, (4, 4, 1))
    volume = FeatureVolume(torch.randn(1, 2, *grid.shape), grid)
    expected = move_volume(volume.with_data(volume.data.bfloat16().float()), MOTION[None]).data
    with torch.autocast("cpu", dtype=torch.bfloat16):
        moved = move_volume(volume.with_data(volume.data.bfloat16()), MOTION[None]).data
    assert torch.equal(moved, expected)
    with pytest.raises(UserError, match="expected 'centered'"):
        move_volume(FeatureVolume(volume.data, VoxelGrid(RANGE, (4, 4, 1), "published")), MOTION[None])
