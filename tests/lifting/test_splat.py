"""The splat lift against a loop over cameras, pixels and bins; its gradients, conventions and memory."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ponderv2.geometry import flip_matrix, image_flip, project, rotation_z, scaling_matrix, translation_matrix
from ponderv2.lifting import SplatLift
from ponderv2.lifting.splat import frustum_cells, splat
from ponderv2.structures import CameraRig, VoxelGrid
from tests.factories.small_rig import PADDED, SIZE, small_rig

GRID = VoxelGrid((-6.0, -6.0, -2.0, 6.0, 6.0, 2.0), (6, 6, 2))
RANGE = (1.0, 9.0)
# No point of these cameras' frustums is on the border between two cells.
OFF_GRID = {"turn": 0.31, "center": (0.37, -0.23, 0.11)}


def _maps(strides=(8,), batch=1, cameras=2, channels=3, bins=8, dtype=torch.float64):
    sizes = [(PADDED[0] // s, PADDED[1] // s) for s in strides]
    features = [torch.randn(batch, cameras, channels, *size, dtype=dtype) for size in sizes]
    depths = [torch.randn(batch, cameras, bins, *size, dtype=dtype).softmax(dim=2) for size in sizes]
    return features, depths


def _loop(features, depths, strides, rig, grid, average=False, offsets=None):
    """Point by point, as the method is written down."""
    batch, channels = features[0].shape[0], features[0].shape[2]
    volume = torch.zeros(batch, *grid.shape, channels, dtype=torch.float64)
    hits = torch.zeros(batch, *grid.shape)
    low, high = RANGE
    offsets = offsets or [(stride - 1) / 2 for stride in strides]
    for feature, depth, stride, offset in zip(features, depths, strides, offsets, strict=True):
        _, cameras, bins, height, width = depth.shape
        for b in range(batch):
            for n in range(cameras):
                for row in range(height):
                    for column in range(width):
                        u, v = column * stride + offset, row * stride + offset
                        if u >= rig.image_size[b, n, 1] - 0.5 or v >= rig.image_size[b, n, 0] - 0.5:
                            continue
                        for k in range(bins):
                            d = low + (k + 0.5) * (high - low) / bins
                            point = rig.img2lidar[b, n] @ torch.tensor([u * d, v * d, d, 1.0], dtype=torch.float64)
                            at = [(float(point[a]) - grid.lower[a]) / grid.voxel_size[a] for a in range(3)]
                            assert min(abs(i - round(i)) for i in at) > 1e-5, "a point on a border decides nothing"
                            x, y, z = (math.floor(i) for i in at)
                            if 0 <= x < grid.size[0] and 0 <= y < grid.size[1] and 0 <= z < grid.size[2]:
                                volume[b, z, y, x] += feature[b, n, :, row, column] * depth[b, n, k, row, column]
                                hits[b, z, y, x] += 1
    if average:
        volume = volume / hits.clamp(min=1)[..., None]
    return volume.permute(0, 4, 1, 2, 3)


@pytest.mark.parametrize("strides", [(8,), (8, 16)])
@pytest.mark.parametrize("average", [False, True])
def test_equals_a_loop_over_cameras_pixels_and_bins(strides, average):
    rig, maps = small_rig(**OFF_GRID), _maps(strides)
    volume = SplatLift(RANGE, average_hits=average)(*maps, strides, rig, GRID)
    assert volume.dtype == torch.float64
    assert (volume != 0).any(dim=1).float().mean() > 0.2
    torch.testing.assert_close(volume, _loop(*maps, strides, rig, GRID, average))


def test_points_are_at_the_centers_of_map_cells_wherever_these_are():
    rig, maps, offsets = small_rig(**OFF_GRID), _maps((8, 16)), (0.0, 3.5)
    volume = SplatLift(RANGE)(*maps, (8, 16), rig, GRID, offsets)
    torch.testing.assert_close(volume, _loop(*maps, (8, 16), rig, GRID, offsets=offsets))
    assert (volume - SplatLift(RANGE)(*maps, (8, 16), rig, GRID)).abs().max() > 0.1


def test_gradients_are_exact_for_features_and_depths():
    rig = small_rig(**OFF_GRID)
    (features,), (depths,) = _maps((16,), channels=2, bins=4)
    small = VoxelGrid(GRID.point_cloud_range, (3, 3, 1))

    def lift(features, depths):
        return SplatLift(RANGE)([features], [depths], (16,), rig, small)

    assert torch.autograd.gradcheck(lift, (features.requires_grad_(), depths.requires_grad_()))


def test_splat_and_its_gradients_equal_the_outer_product():
    features = torch.randn(40, 5, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(40, 7, dtype=torch.float64, requires_grad=True)
    cells = torch.randint(-3, 12, (40, 7))
    sums, hits = splat(features, weights, cells, 12)
    entries = (features[:, None] * weights[..., None]).flatten(0, 1)[cells.flatten() >= 0]
    expected = torch.zeros(12, 5, dtype=torch.float64).index_add(0, cells[cells >= 0], entries)
    torch.testing.assert_close(sums, expected)
    assert torch.equal(hits, cells[cells >= 0].bincount(minlength=12))
    slope = torch.randn_like(sums)
    ours, theirs = (torch.autograd.grad(s, (features, weights), slope) for s in (sums, expected))
    torch.testing.assert_close(ours, theirs)


class _LargestTensor(TorchDispatchMode):
    """Notes the size of the largest tensor that is made."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(value, torch.Tensor):
                self.numel = max(self.numel, value.numel())
        return out


def test_no_tensor_of_points_times_channels_is_made_forward_or_backward():
    channels, bins = 64, 40
    (features,), (depths,) = _maps((4,), channels=channels, bins=bins, dtype=torch.float32)
    features.requires_grad_()
    depths.requires_grad_()
    with _LargestTensor() as made:
        SplatLift(RANGE)([features], [depths], (4,), small_rig(), GRID).sum().backward()
    assert features.grad is not None
    assert depths.grad is not None
    # Coordinates of the points are the largest thing left.
    assert made.numel <= 4 * depths.numel()
    assert made.numel < depths.numel() * channels / 8


def test_every_point_lies_in_the_cell_it_is_sent_to_and_the_rest_is_outside():
    rig = small_rig(**OFF_GRID)
    # A grid that begins in front of the cameras too: cutting off instead of rounding down would fill its first cells.
    grid = VoxelGrid((-1.3, 1.1, -0.9, 6.1, 6.4, 1.2), (5, 7, 3))
    size, bins = (8, 12), 16
    cells = frustum_cells(rig, grid, size, 8, RANGE, bins)
    row, column, k = torch.meshgrid(*(torch.arange(n) for n in (*size, bins)), indexing="ij")
    u, v, d = (column + 0.5) * 8 - 0.5, (row + 0.5) * 8 - 0.5, 1.0 + (k + 0.5) * 0.5
    uvd1 = torch.stack([u * d, v * d, d, torch.ones_like(d)], dim=-1).double()
    points = (rig.img2lidar[:, :, None, None, None] @ uvd1[..., None])[..., :3, 0]
    pixels, depth = project(points.flatten(2, 4), rig.lidar2img)
    torch.testing.assert_close(pixels, torch.stack([u, v], dim=-1).double().expand(1, 2, -1, -1, -1, 2).flatten(2, 4))
    torch.testing.assert_close(depth, d.double().expand(1, 2, -1, -1, -1).flatten(2))

    sent = cells >= 0
    centers = grid.centers(dtype=torch.float64).reshape(-1, 3)
    away = (points[sent] - centers[cells[sent]]).abs()
    assert sent.sum() > 100
    assert (away <= torch.tensor(grid.voxel_size) / 2 + 1e-5).all()
    on_image = (u < SIZE[1] - 0.5) & (v < SIZE[0] - 0.5)
    assert torch.equal(sent, grid.contains(points) & on_image)
    just_below = (points < torch.tensor(grid.lower)) & (
        points > torch.tensor(grid.lower) - torch.tensor(grid.voxel_size)
    )
    assert just_below.any(dim=-1).sum() > 10


def test_the_order_of_cameras_does_not_matter():
    rig, (features, depths) = small_rig(3, **OFF_GRID), _maps(cameras=3)
    order = [2, 0, 1]
    fields = {k: v[:, order] for k, v in vars(rig).items() if isinstance(v, torch.Tensor)}
    swapped = SplatLift(RANGE)(
        [f[:, order] for f in features],
        [d[:, order] for d in depths],
        (8,),
        CameraRig(**fields, padded_size=PADDED),
        GRID,
    )
    torch.testing.assert_close(swapped, SplatLift(RANGE)(features, depths, (8,), rig, GRID))


def test_a_batch_of_two_different_samples_is_two_batches_of_one():
    rigs = [small_rig(turn=0.31), small_rig(turn=-0.8, center=(1.0, 0.2, 0.1))]
    fields = {k: torch.cat([getattr(r, k) for r in rigs]) for k in vars(rigs[0]) if k != "padded_size"}
    (features, depths), lift = _maps(batch=2), SplatLift(RANGE)
    both = lift(features, depths, (8,), CameraRig(**fields, padded_size=PADDED), GRID)
    for b, rig in enumerate(rigs):
        one = lift([f[b : b + 1] for f in features], [d[b : b + 1] for d in depths], (8,), rig, GRID)
        torch.testing.assert_close(both[b : b + 1], one)


@pytest.mark.parametrize(
    ("matrix", "moved"),
    [
        (rotation_z(math.pi / 2), lambda volume: volume.rot90(1, (4, 3))),
        (flip_matrix(x=True), lambda volume: volume.flip(4)),
        (flip_matrix(y=True), lambda volume: volume.flip(3)),
    ],
    ids=["turned", "flipped in x", "flipped in y"],
)
def test_augmenting_the_scene_moves_what_is_lifted_with_it(matrix, moved):
    maps = _maps()
    plain = SplatLift(RANGE)(*maps, (8,), small_rig(**OFF_GRID), GRID)
    augmented = SplatLift(RANGE)(*maps, (8,), small_rig(lidar_aug=matrix, **OFF_GRID), GRID)
    assert not torch.allclose(augmented, plain)
    torch.testing.assert_close(augmented, moved(plain))


def test_a_scaled_and_shifted_scene_fills_a_scaled_and_shifted_grid_alike():
    # Depth bins are metres of the camera, which augmentation leaves alone.
    maps = _maps()
    matrix = translation_matrix((2.0, -1.0, 0.5)) @ scaling_matrix(1.5)
    other = VoxelGrid((-7.0, -10.0, -2.5, 11.0, 8.0, 3.5), GRID.size)
    plain = SplatLift(RANGE)(*maps, (8,), small_rig(**OFF_GRID), GRID)
    torch.testing.assert_close(SplatLift(RANGE)(*maps, (8,), small_rig(lidar_aug=matrix, **OFF_GRID), other), plain)


def test_a_mirrored_image_lifts_to_the_same_volume():
    features, depths = _maps()
    whole = {"size": PADDED} | OFF_GRID
    plain = SplatLift(RANGE)(features, depths, (8,), small_rig(**whole), GRID)
    mirrored = SplatLift(RANGE)(
        [f.flip(-1) for f in features],
        [d.flip(-1) for d in depths],
        (8,),
        small_rig(img_aug=image_flip(PADDED[1]), **whole),
        GRID,
    )
    torch.testing.assert_close(mirrored, plain)


def test_what_is_in_the_padding_has_no_influence():
    (features,), (depths,) = _maps((4,))
    rig = small_rig()
    before = SplatLift(RANGE)([features], [depths], (4,), rig, GRID)
    # The centres of the last row of cells and of the last two columns are beyond 60 × 90 pixels, or on the edge.
    features[..., 15:, :] = math.nan
    features[..., 22:] = math.nan
    assert torch.equal(SplatLift(RANGE)([features], [depths], (4,), rig, GRID), before)


def test_cameras_that_see_nothing_of_the_grid_give_zeros_and_zero_gradients():
    (features,), (depths,) = _maps()
    features.requires_grad_()
    depths.requires_grad_()
    far = VoxelGrid((100.0, 100.0, 0.0, 110.0, 110.0, 4.0), (5, 5, 2))
    volume = SplatLift(RANGE, average_hits=True)([features], [depths], (8,), small_rig(), far)
    volume.sum().backward()
    assert volume.shape == (1, 3, 2, 5, 5)
    assert volume.abs().max() == 0
    assert features.grad.abs().max() == 0
    assert depths.grad.abs().max() == 0


def test_half_precision_is_summed_in_single():
    features, depths = ([m.bfloat16() for m in maps] for maps in _maps())
    rig = small_rig(**OFF_GRID)
    expected = SplatLift(RANGE)([f.float() for f in features], [d.float() for d in depths], (8,), rig, GRID)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lifted = SplatLift(RANGE)(features, depths, (8,), rig, GRID)
    assert lifted.dtype == torch.float32
    assert torch.equal(lifted, expected)


@pytest.mark.parametrize("depth_range", [(5.0, 5.0), (9.0, 1.0), (-1.0, 5.0)])
def test_a_range_without_depths_is_refused(depth_range):
    with pytest.raises(ValueError, match="depth_range: expected 0 <= low < high"):
        SplatLift(depth_range)


@pytest.mark.gpu
def test_a_gpu_lifts_as_the_cpu_does():
    (features,), (depths,) = _maps(dtype=torch.float32)
    results = []
    for device in ("cpu", "cuda"):
        inputs = [m.detach().to(device).requires_grad_() for m in (features, depths)]
        volume = SplatLift(RANGE)([inputs[0]], [inputs[1]], (8,), small_rig(**OFF_GRID).to(device), GRID)
        gradients = torch.autograd.grad(volume.square().sum(), inputs)
        results.append([t.cpu() for t in (volume, *gradients)])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)
