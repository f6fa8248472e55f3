"""The pull lift against a loop over cells, cameras and levels, and its conventions."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from ponderv2.geometry import in_image, project
from ponderv2.lifting import PullLift
from ponderv2.lifting.pull import pair_up, pull_by_grid_sample, pull_by_rows
from ponderv2.structures import PLACEMENTS, CameraRig, VoxelGrid, cells_of_levels
from tests.factories.small_rig import PADDED, SIZE, small_rig

GRID = VoxelGrid((-6.0, -6.0, -2.0, 6.0, 6.0, 2.0), (6, 6, 2))
STRIDES = (8, 16)


def _maps(batch=1, cameras=2, channels=3, bins=8, dtype=torch.float64):
    features = [torch.randn(batch, cameras, channels, PADDED[0] // s, PADDED[1] // s, dtype=dtype) for s in STRIDES]
    depths = [
        torch.randn(batch, cameras, bins, PADDED[0] // s, PADDED[1] // s, dtype=dtype).softmax(dim=2) for s in STRIDES
    ]
    return features, depths


def _loop(lift, features, depths, rig, grid):
    """Cell by cell, as the method is written down."""
    centers = grid.centers(dtype=torch.float64).reshape(-1, 3)
    channels = features[0].shape[2]
    volume = torch.zeros(len(centers), channels, dtype=torch.float64)
    low, high = lift.depth_range
    for cell, center in enumerate(centers):
        for camera in range(rig.num_cameras):
            (uv,), (d,) = project(center[None], rig.lidar2img[0, camera])
            if not (max(low, 1e-5) < d < high and -0.5 <= uv[0] < SIZE[1] - 0.5 and -0.5 <= uv[1] < SIZE[0] - 0.5):
                continue
            for feature, depth, stride in zip(features, depths, STRIDES, strict=True):
                height, width = depth.shape[3:]
                u, v = (2 * (uv + 0.5) / stride) / torch.tensor([width, height]) - 1
                b = 2 * (d - low) / (high - low) - 1
                options = {"align_corners": False, "padding_mode": "border"}
                f = F.grid_sample(feature[:, camera], torch.stack([u, v]).reshape(1, 1, 1, 2), **options)
                p = F.grid_sample(depth[:, camera][:, None], torch.stack([u, v, b]).reshape(1, 1, 1, 1, 3), **options)
                volume[cell] += (f * p.reshape(())).reshape(channels)
    return volume.reshape(*grid.shape, channels).permute(3, 0, 1, 2)


def _float32(maps):
    return [[m.float() for m in level] for level in maps]


def test_equals_a_loop_over_cells_cameras_and_levels():
    lift, rig, (features, depths) = PullLift((0.0, 8.0)), small_rig(), _maps()
    volume = lift(*_float32((features, depths)), STRIDES, rig, GRID)
    assert volume.abs().sum() > 0
    torch.testing.assert_close(volume[0].double(), _loop(lift, features, depths, rig, GRID), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("offsets", [None, (0.0, 2.5)])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_rows_and_grid_sample_pull_the_same_volume_with_the_same_gradients(batch, offsets, placement):
    rig, (features, _) = small_rig(3, batch), _maps(batch, cameras=3)
    centers = GRID.centers(dtype=torch.float64).reshape(-1, 3)
    pixels, depth = project(centers.expand(batch, 3, -1, 3), rig.lidar2img)
    seen = in_image(pixels, rig.image_size) & (depth > 0.1)
    assert seen.any(dim=(0, 1)).float().mean() > 0.5
    pairs = pair_up(seen.flatten(0, 1), pixels.flatten(0, 1), depth.flatten(0, 1))
    levels = cells_of_levels(STRIDES, offsets, rig, replace(GRID, placement=placement))
    maps = [f.flatten(0, 1).requires_grad_() for f in features]
    chances = [torch.rand_like(pairs.depth).requires_grad_() for _ in maps]
    slope = torch.randn(batch, 3, len(centers), dtype=torch.float64)
    results = []
    for pull in (pull_by_grid_sample, pull_by_rows):
        volume = pull(maps, [c * pairs.valid for c in chances], levels, pairs, batch, len(centers))
        results.append((volume, *torch.autograd.grad(volume, maps + chances, slope)))
    torch.testing.assert_close(*results)


def test_on_a_cpu_the_channels_come_last_in_memory():
    volume = PullLift((0.0, 8.0))(*_float32(_maps(batch=2)), STRIDES, small_rig(batch=2), GRID)
    assert volume.is_contiguous(memory_format=torch.channels_last_3d)


def test_the_order_of_cameras_does_not_matter():
    rig, (features, depths) = small_rig(3), _float32(_maps(cameras=3))
    order = [2, 0, 1]
    fields = {k: v[:, order] for k, v in vars(rig).items() if isinstance(v, torch.Tensor)}
    swapped = PullLift((0.0, 8.0))(
        [f[:, order] for f in features],
        [d[:, order] for d in depths],
        STRIDES,
        CameraRig(**fields, padded_size=PADDED),
        GRID,
    )
    torch.testing.assert_close(swapped, PullLift((0.0, 8.0))(features, depths, STRIDES, rig, GRID))


def test_a_batch_of_two_calibrations_is_two_batches_of_one():
    rigs = [small_rig(turn=0.31), small_rig(turn=-0.8, center=(1.0, 0.2, 0.1), size=(48, 80))]
    fields = {k: torch.cat([getattr(r, k) for r in rigs]) for k in vars(rigs[0]) if k != "padded_size"}
    (features, depths), lift = _float32(_maps(batch=2)), PullLift((0.0, 8.0))
    both = lift(features, depths, STRIDES, CameraRig(**fields, padded_size=PADDED), GRID)
    for b, rig in enumerate(rigs):
        one = lift([f[b : b + 1] for f in features], [d[b : b + 1] for d in depths], STRIDES, rig, GRID)
        torch.testing.assert_close(both[b : b + 1], one)


def test_features_that_are_pixel_coordinates_arrive_at_the_cells_that_project_there():
    # The convention in one picture: what is written at a pixel is read where the cell centre projects.
    rig = small_rig(1)
    stride = 4
    height, width = PADDED[0] // stride, PADDED[1] // stride
    v, u = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    features = [(torch.stack([u, v]) * stride - 0.5)[None, None]]
    depths = [torch.full((1, 1, 8, height, width), 1.0)]
    lifted = PullLift((0.0, 8.0))(features, depths, (stride,), rig, GRID)[0].flatten(1).T
    uv, depth = project(GRID.centers().reshape(-1, 3), rig.lidar2img[0, 0].float())
    inside = (depth > 0.1) & (uv > 2).all(dim=1) & (uv[:, 0] < SIZE[1] - 3) & (uv[:, 1] < SIZE[0] - 3)
    assert inside.sum() > 5
    torch.testing.assert_close(lifted[inside], uv[inside], rtol=1e-4, atol=1e-3)


def test_cells_behind_all_cameras_stay_empty():
    features, depths = _float32(_maps(cameras=1))
    lifted = PullLift((0.0, 8.0))([f + 9 for f in features], depths, STRIDES, small_rig(1), GRID)
    behind = GRID.centers()[..., 0] < 0  # the only camera looks along +x
    assert lifted[0][:, behind].abs().max() == 0
    assert lifted.abs().max() > 0


def test_average_hits_halves_what_two_cameras_see():
    rig, (features, depths) = small_rig(1), _float32(_maps(cameras=1))
    twice = CameraRig(
        **{k: v.repeat(1, 2, *[1] * (v.ndim - 2)) for k, v in vars(rig).items() if k != "padded_size"},
        padded_size=PADDED,
    )
    doubled = [[m.repeat(1, 2, 1, 1, 1) for m in maps] for maps in (features, depths)]
    single = PullLift((0.0, 8.0))(features, depths, STRIDES, rig, GRID)
    torch.testing.assert_close(PullLift((0.0, 8.0))(*doubled, STRIDES, twice, GRID), 2 * single)
    torch.testing.assert_close(PullLift((0.0, 8.0), average_hits=True)(*doubled, STRIDES, twice, GRID), single)


@pytest.mark.parametrize("which", ["features", "depths"])
def test_gradients_reach_features_and_depths(which):
    maps = dict(zip(("features", "depths"), _float32(_maps()), strict=True))
    for level in maps[which]:
        level.requires_grad_()
    PullLift((0.0, 8.0))(**maps, strides=STRIDES, rig=small_rig(), grid=GRID).square().sum().backward()
    assert all(level.grad.abs().sum() > 0 for level in maps[which])
