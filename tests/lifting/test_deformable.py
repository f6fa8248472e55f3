"""The deformable lift against a loop over cells, views and sampling points, and its conventions."""

import math

import pytest
import torch
from torch import nn

from ponderv2.errors import UserError
from ponderv2.geometry import project
from ponderv2.lifting import DeformableLift
from ponderv2.structures import CameraRig, VoxelGrid
from tests.factories.small_rig import PADDED, small_rig

GRID = VoxelGrid((-6.0, -6.0, -2.0, 6.0, 6.0, 2.0), (6, 5, 2))
PLANE = VoxelGrid((-6.0, -6.0, -2.0, 6.0, 6.0, 2.0), (6, 5, 1))
STRIDES, CHANNELS, HEADS = (8, 16), 8, 2
OFF_GRID = {"turn": 0.31, "center": (0.37, -0.23, 0.11)}


def _lift(grid=GRID, heights=(0.2, 0.7), **changes) -> DeformableLift:
    """A lift all of whose weights matter: at first, queries choose neither offsets nor weights."""
    arguments = dict(num_levels=2, num_heads=HEADS, num_points=4, ffn_channels=12)
    lift = DeformableLift(CHANNELS, grid.size, heights, **arguments | changes).double().eval()
    for name, parameter in lift.named_parameters():
        if "sampling_offsets.weight" in name or "attention_weights.weight" in name or name.endswith("proj.bias"):
            nn.init.normal_(parameter, std=0.5)
    return lift


def _maps(batch=1, cameras=2):
    sizes = [(PADDED[0] // s, PADDED[1] // s) for s in STRIDES]
    return [torch.randn(batch, cameras, CHANNELS, *size, dtype=torch.float64) for size in sizes]


def _rig_of_two() -> tuple[list[CameraRig], CameraRig]:
    """Two samples that differ in calibration, and in which cells their cameras see."""
    rigs = [small_rig(**OFF_GRID), small_rig(turn=-0.8, center=(1.0, 0.2, 0.1), size=(48, 80))]
    fields = {k: torch.cat([getattr(r, k) for r in rigs]) for k in vars(rigs[0]) if k != "padded_size"}
    return rigs, CameraRig(**fields, padded_size=PADDED)


def _loop(lift, features, rig, grid, offsets=(3.5, 7.5)):
    """One layer without self-attention and feed-forward net, cell by cell as BEVFormer's equation 3 is written down."""
    (layer,) = lift.layers
    cross, norm = layer.cross_attn, layer.norms[0]
    nx, ny, _ = grid.size
    centers = grid.centers(dtype=torch.float64).reshape(-1, 3)
    volume, hits = torch.zeros(len(centers), CHANNELS, dtype=torch.float64), torch.zeros(len(centers))
    references, width = len(lift.reference_heights), CHANNELS // HEADS
    repeats = cross.num_points // references
    for cell, center in enumerate(centers):
        y, x = cell % (nx * ny) // nx, cell % nx
        position = torch.cat([lift.position.col_embed.weight[x], lift.position.row_embed.weight[y]])
        query = lift.queries.weight[cell] + position
        weights = cross.attention_weights(query).view(HEADS, -1).softmax(dim=1).view(HEADS, 2, repeats, references)
        moves = cross.sampling_offsets(query).view(HEADS, 2, repeats, references, 2)
        mean = torch.zeros(CHANNELS, dtype=torch.float64)
        for camera in range(rig.num_cameras):
            seen, places = [], []
            for height in lift.reference_heights:
                point = center + torch.tensor([0, 0, (height - 0.5) * grid.voxel_size[2]], dtype=torch.float64)
                (uv,), (d,) = project(point[None], rig.lidar2img[0, camera])
                rows, columns = rig.image_size[0, camera].tolist()
                seen.append(bool(d > 1e-5 and -0.5 <= uv[0] < columns - 0.5 and -0.5 <= uv[1] < rows - 0.5))
                places.append(uv)
            if not any(seen):
                continue
            hits[cell] += 1
            for level, (feature, stride) in enumerate(zip(features, STRIDES, strict=True)):
                tokens = feature[0, camera] + lift.level_embeds[level][:, None, None]
                value = cross.value_proj(tokens.permute(1, 2, 0))
                for row in range(value.shape[0]):
                    for column in range(value.shape[1]):
                        at = row * stride + offsets[level], column * stride + offsets[level]
                        if at[0] >= rows - 0.5 or at[1] >= columns - 0.5:
                            value[row, column] = 0
                for head in range(HEADS):
                    own = value[..., head * width : (head + 1) * width]
                    for k in range(repeats):
                        for p in range(references):
                            if not seen[p]:
                                continue
                            u, v = (places[p] - offsets[level]) / stride + moves[head, level, k, p]
                            read = _bilinear(own, float(u), float(v))
                            mean[head * width : (head + 1) * width] += weights[head, level, k, p] * read
        volume[cell] = norm(query + cross.output_proj(mean / hits[cell].clamp(min=1)))
    return volume.T.unflatten(1, grid.shape), hits.reshape(grid.shape)


def _bilinear(image, u, v):
    """Read a map `[H, W, C]` at column u and row v; outside there are zeros."""
    total = torch.zeros(image.shape[-1], dtype=image.dtype)
    for row in (math.floor(v), math.floor(v) + 1):
        for column in (math.floor(u), math.floor(u) + 1):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                total += (1 - abs(v - row)) * (1 - abs(u - column)) * image[row, column]
    return total


@pytest.mark.parametrize("offsets", [None, (0.0, 3.5)])
@pytest.mark.parametrize(("grid", "heights"), [(GRID, (0.5,)), (PLANE, (1 / 16, 15 / 16))])
@torch.no_grad()
def test_equals_a_loop_over_cells_views_and_sampling_points(grid, heights, offsets):
    lift, rig, features = _lift(grid, heights, self_attention=False, ffn_channels=None), small_rig(**OFF_GRID), _maps()
    volume = lift(features, None, STRIDES, rig, grid, offsets)
    expected, hits = _loop(lift, features, rig, grid, offsets or (3.5, 7.5))
    assert volume.dtype == torch.float64
    assert 0 < (hits > 0).float().mean() < 1
    # Projection is in float32.
    torch.testing.assert_close(volume[0], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_batch_of_two_calibrations_is_two_batches_of_one():
    lift, features, (rigs, both) = _lift(PLANE, num_layers=2), _maps(batch=2), _rig_of_two()
    together = lift(features, None, STRIDES, both, PLANE)
    for b, rig in enumerate(rigs):
        one = lift([f[b : b + 1] for f in features], None, STRIDES, rig, PLANE)
        torch.testing.assert_close(together[b : b + 1], one)
    # The second sample with the cells that the cameras of the first one see would be another volume.
    assert (lift([f[1:] for f in features], None, STRIDES, rigs[0], PLANE) - together[1:]).abs().max() > 0.01


@torch.no_grad()
def test_the_order_of_cameras_does_not_matter():
    lift, rig, features, order = _lift(), small_rig(3, **OFF_GRID), _maps(cameras=3), [2, 0, 1]
    fields = {k: v[:, order] for k, v in vars(rig).items() if isinstance(v, torch.Tensor)}
    other = CameraRig(**fields, padded_size=PADDED)
    swapped = lift([f[:, order] for f in features], None, STRIDES, other, GRID)
    torch.testing.assert_close(swapped, lift(features, None, STRIDES, rig, GRID))


@torch.no_grad()
def test_neither_padding_nor_what_is_behind_the_camera_has_an_influence():
    size = (40, 70)
    lift, rig, features = _lift(self_attention=False), small_rig(1, size=size), _maps(cameras=1)
    before = lift(features, None, STRIDES, rig, GRID)
    for feature, stride in zip(features, STRIDES, strict=True):
        v, u = ((torch.arange(n) + 0.5) * stride - 0.5 for n in feature.shape[-2:])
        padding = (v[:, None] >= size[0] - 0.5) | (u >= size[1] - 0.5)
        assert padding.any()
        feature[..., padding] = 1e6
    assert torch.equal(lift(features, None, STRIDES, rig, GRID), before)
    # The only camera looks along +x.
    other = lift([torch.randn_like(f) for f in features], None, STRIDES, rig, GRID)
    behind = GRID.centers()[..., 0] < 0
    assert torch.equal(other[0][:, behind], before[0][:, behind])
    assert not torch.equal(other, before)


@torch.no_grad()
def test_a_cell_that_no_view_sees_keeps_what_its_query_alone_gives():
    lift, features = _lift(self_attention=False, ffn_channels=None), _maps()
    far = VoxelGrid((100.0, 100.0, 50.0, 110.0, 110.0, 54.0), GRID.size)
    volume = lift(features, None, STRIDES, small_rig(), far)
    plane = torch.zeros(1, *GRID.shape[1:], dtype=torch.bool)
    queries = lift.queries.weight.unflatten(0, GRID.shape) + lift.position(plane)[0].permute(1, 2, 0)
    (layer,) = lift.layers
    expected = layer.norms[0](queries + layer.cross_attn.output_proj.bias)
    torch.testing.assert_close(volume[0], expected.permute(3, 0, 1, 2))


@torch.no_grad()
def test_self_attention_stays_within_the_cells_of_a_height():
    lift, features = _lift(num_layers=2), _maps()
    rig = small_rig()
    before = lift(features, None, STRIDES, rig, GRID)
    lift.queries.weight[: GRID.size[0] * GRID.size[1]] += 1.0
    after = lift(features, None, STRIDES, rig, GRID)
    assert torch.equal(after[:, :, 1], before[:, :, 1])
    assert (after[:, :, 0] - before[:, :, 0]).abs().max() > 0.1


def test_gradients_are_exact_for_features_with_and_without_checkpointing():
    small = VoxelGrid(GRID.point_cloud_range, (3, 2, 1))
    rig, maps = small_rig(**OFF_GRID), [f.requires_grad_() for f in _maps()]
    lift = _lift(small, num_layers=2)
    found = []
    for checkpointing in (False, True):
        lift.grad_checkpointing = checkpointing
        volume = lift(maps, None, STRIDES, rig, small)
        slope = torch.linspace(-1, 1, volume.numel(), dtype=volume.dtype).view_as(volume)
        inputs = [*maps, *lift.parameters()]
        found.append(torch.autograd.grad(volume, inputs, slope))
        assert all(g.abs().sum() > 0 for g in found[-1])
    torch.testing.assert_close(*found)
    nudge = torch.randn_like(maps[0])
    with torch.no_grad():
        moved = ([maps[0] + sign * 1e-5 * nudge, maps[1]] for sign in (1, -1))
        above, below = ((lift(m, None, STRIDES, rig, small) * slope).sum() for m in moved)
    assert float((found[0][0] * nudge).sum()) == pytest.approx(float(above - below) / 2e-5, rel=1e-5)


@torch.no_grad()
def test_half_precision_is_computed_in_single():
    lift, features, rig = _lift().float(), [f.bfloat16() for f in _maps()], small_rig(**OFF_GRID)
    expected = lift([f.float() for f in features], None, STRIDES, rig, GRID)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lifted = lift(features, None, STRIDES, rig, GRID)
    assert lifted.dtype == torch.float32
    assert torch.equal(lifted, expected)


@torch.no_grad()
def test_cameras_with_embeddings_of_their_own_are_told_apart():
    rig, features = small_rig(1), _maps(cameras=1)
    twice = CameraRig(
        **{k: v.repeat(1, 2, *[1] * (v.ndim - 2)) for k, v in vars(rig).items() if k != "padded_size"},
        padded_size=PADDED,
    )
    doubled = [f.repeat(1, 2, 1, 1, 1) for f in features]
    lift = _lift(num_cameras=2)
    mean = lift(doubled, None, STRIDES, twice, GRID)
    lift.camera_embeds[1] = lift.camera_embeds[0]
    same = lift(doubled, None, STRIDES, twice, GRID)
    assert (mean - same).abs().max() > 0.01
    lift.camera_embeds = nn.Parameter(lift.camera_embeds[:1])
    # The mean of two equal views is either of them.
    torch.testing.assert_close(lift(features, None, STRIDES, rig, GRID), same)


@pytest.mark.parametrize(
    ("changes", "call", "match"),
    [
        (dict(), dict(grid=PLANE), r"lift.size is \(6, 5, 2\), but the grid has \(6, 5, 1\)"),
        (dict(), dict(grid=VoxelGrid(GRID.point_cloud_range, GRID.size, "published")), "expected 'centered'"),
        (dict(num_levels=3), dict(), "num_levels is 3, but there are 2 maps"),
        (dict(num_cameras=6), dict(), "num_cameras is 6, but there are 2 cameras"),
    ],
)
def test_what_the_lift_was_not_built_for_is_refused(changes, call, match):
    with pytest.raises(UserError, match=match):
        _lift(**changes)(_maps(), None, STRIDES, small_rig(), **{"grid": GRID} | call)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (dict(channels=9), "channels: expected an even number"),
        (dict(num_heads=3), "multiple of num_heads = 3"),
        (dict(num_points=3), "num_points: expected a multiple of 2 reference points"),
        (dict(reference_heights=(0.5, 1.5)), "reference_heights: expected fractions"),
        (dict(size=(4, 4)), "size: expected 3 positive cell counts"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(changes, match):
    arguments = dict(channels=8, size=(4, 4, 1), reference_heights=(0.2, 0.7), num_heads=2, num_points=4)
    with pytest.raises(ValueError, match=match):
        DeformableLift(**arguments | changes)


@pytest.mark.gpu
def test_a_gpu_lifts_as_the_cpu_does():
    features, lift, results = _maps(), _lift(PLANE, self_attention=False).float(), []
    for device in ("cpu", "cuda"):
        inputs = [f.float().to(device).requires_grad_() for f in features]
        volume = lift.to(device)(inputs, None, STRIDES, small_rig(**OFF_GRID).to(device), PLANE)
        results.append([t.cpu() for t in (volume, *torch.autograd.grad(volume.square().sum(), inputs))])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)
