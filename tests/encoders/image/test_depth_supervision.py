"""The LiDAR depth loss against plain loops, what counts as a target, and the encoders that use it."""

import math
from dataclasses import replace

import pytest
import torch

from ponderv2.encoders import DepthSupervision
from ponderv2.encoders.image.depth_supervision import depth_bins, depth_cross_entropy, nearest_return
from ponderv2.geometry import compose_rig, rotation_z, scaling_matrix
from ponderv2.masking import InputMasking
from ponderv2.registry import MODELS
from ponderv2.structures import CameraRig, VoxelGrid
from tests.factories.camera_models import model_config, packed
from tests.factories.lidar_models import fusion_model_config

HEIGHT, WIDTH, STRIDE = 60, 90, 8
SIZE = (8, 12)  # of the map, padding included
RANGE, BINS = (1.0, 21.0), 10


def _rig(samples=1, lidar_aug=None):
    """Two cameras at the LiDAR, looking along y and along -y."""
    ahead = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.float64)
    behind = ahead * torch.tensor([-1.0, -1, 1, 1], dtype=torch.float64)
    intrinsic = torch.eye(4, dtype=torch.float64)
    intrinsic[0, 0] = intrinsic[1, 1] = 50.0
    intrinsic[0, 2], intrinsic[1, 2] = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    eye = torch.eye(4, dtype=torch.float64)
    rig = compose_rig(
        torch.stack([ahead, behind]),
        intrinsic.repeat(2, 1, 1),
        eye if lidar_aug is None else lidar_aug,
        eye.repeat(2, 1, 1),
        torch.tensor([[HEIGHT, WIDTH]] * 2),
        (64, 96),
    )
    return CameraRig.stack([rig] * samples, (64, 96))


def _cloud(count=400, spread=12.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    xyz = spread * torch.randn(count, 3, generator=generator) * torch.tensor([1.0, 1.0, 0.4])
    lag = torch.randint(0, 3, (count, 1), generator=generator) * 0.05
    return torch.cat([xyz, torch.zeros(count, 1), lag], dim=1)


def _logits(samples=1, dtype=torch.float64):
    return 2 * torch.randn(samples, 2, BINS, *SIZE, dtype=dtype)


def _nearest_by_loops(points, rig, min_radius=0.0, lead=0.0):
    """A z-buffer of pixels, then the minimum over the pixels of a cell, as it is published."""
    found = torch.full((len(points), rig.num_cameras, *SIZE), math.inf, dtype=torch.float64)
    for b, cloud in enumerate(points):
        for n in range(rig.num_cameras):
            buffer = {}
            for point in cloud.double():
                if math.hypot(point[0], point[1]) <= min_radius:
                    continue
                u, v, d, _ = (rig.lidar2img[b, n] @ torch.cat([point[:3], point.new_ones(1)])).tolist()
                if d <= 0:
                    continue
                pixel = math.floor(v / d + 0.5), math.floor(u / d + 0.5)
                if 0 <= pixel[0] < HEIGHT and 0 <= pixel[1] < WIDTH:
                    buffer[pixel] = min(buffer.get(pixel, math.inf), d)
            for (row, column), d in buffer.items():
                cell = b, n, int(row + lead) // STRIDE, int(column + lead) // STRIDE
                if cell[2] < SIZE[0] and cell[3] < SIZE[1]:
                    found[cell] = min(found[cell], d)
    return found


def _loss_by_loops(probabilities, nearest):
    total, cells = 0.0, 0
    low, high = RANGE
    for cell in (nearest < math.inf).nonzero().tolist():
        b, n, row, column = cell
        target = math.floor((float(nearest[b, n, row, column]) - low) / ((high - low) / BINS))
        if not 0 <= target < BINS:
            continue
        cells += 1
        for k in range(BINS):
            p = float(probabilities[b, n, k, row, column])
            total -= math.log(p) if k == target else math.log(1 - p)
    return total / max(cells, 1)


def test_nearest_returns_equal_a_z_buffer_and_a_minimum():
    points, rig = [_cloud(), _cloud(300, seed=1)], _rig(2)
    nearest = nearest_return(points, rig, SIZE, STRIDE)
    expected = _nearest_by_loops(points, rig)
    assert 0.2 < (expected < math.inf).double().mean() < 1.0
    torch.testing.assert_close(nearest.double(), expected, rtol=1e-5, atol=1e-5)


def test_cells_that_begin_before_the_image_take_the_returns_around_their_centers():
    # Around -0.5, 7.5, 15.5 and so on: the cell of a pixel is that of the pixel four to its right among tiles.
    points, rig = [_cloud(), _cloud(300, seed=1)], _rig(2)
    nearest = nearest_return(points, rig, SIZE, STRIDE, offset=-0.5)
    torch.testing.assert_close(nearest.double(), _nearest_by_loops(points, rig, lead=4.0), rtol=1e-5, atol=1e-5)
    assert not torch.equal(nearest, nearest_return(points, rig, SIZE, STRIDE))
    levels = [_logits(2)], (STRIDE,), points, rig, RANGE
    bins, valid = depth_bins(nearest, RANGE, BINS)
    expected = depth_cross_entropy(levels[0][0], bins, valid)
    torch.testing.assert_close(DepthSupervision(min_radius=0.0)(*levels, (-0.5,)), expected)


def test_the_loss_equals_plain_loops():
    points, rig, logits = [_cloud(), _cloud(300, seed=1)], _rig(2), _logits(2)
    expected = _loss_by_loops(logits.softmax(dim=2), _nearest_by_loops(points, rig, min_radius=3.0))
    loss = DepthSupervision(weight=2.5)([logits], (STRIDE,), points, rig, RANGE)
    assert loss.item() == pytest.approx(2.5 * expected, rel=1e-6)


def test_levels_are_averaged():
    points, rig = [_cloud()], _rig()
    levels = [_logits(), torch.randn(1, 2, BINS, 4, 6, dtype=torch.float64)]
    apart = [DepthSupervision()([m], (s,), points, rig, RANGE) for m, s in zip(levels, (8, 16), strict=True)]
    torch.testing.assert_close(DepthSupervision()(levels, (8, 16), points, rig, RANGE), sum(apart) / 2)


def test_bins_are_half_open_and_depths_out_of_range_are_no_target():
    below_end = math.nextafter(21.0, 0.0)
    depth = torch.tensor([0.99, 1.0, 2.99, 3.0, 20.99, below_end, 21.0, math.inf], dtype=torch.float64)
    bins, valid = depth_bins(depth, RANGE, BINS)
    assert valid.tolist() == [False, True, True, True, True, True, False, False]
    assert bins[valid].tolist() == [0, 0, 1, 9, 9]


def test_the_nearest_of_a_cell_wins_in_any_order_and_what_is_too_near_hides_the_rest():
    rig = _rig()
    point = torch.tensor([0.02, 1.0, 0.02])
    cloud = torch.stack([point * d for d in (9.0, 5.0, 7.0)])
    for order in ([0, 1, 2], [2, 1, 0]):
        nearest = nearest_return([cloud[order]], rig, SIZE, STRIDE)
        assert nearest[nearest < math.inf].tolist() == [5.0]
    # A return before the first bin is the surface that the camera sees; what is behind it is no target.
    with_close = torch.cat([cloud, point[None] * 0.5])
    nearest = nearest_return([with_close], rig, SIZE, STRIDE)
    assert not depth_bins(nearest, RANGE, BINS)[1].any()


def test_the_car_and_old_returns_are_left_out_on_request():
    rig = _rig()
    cloud = torch.tensor([[0.0, 2.9, 0.1, 0, 0], [0.1, 8.0, 0.1, 0, 0.05], [0.1, 15.0, 0.2, 0, 0.0]])
    logits = [_logits()]

    def loss(points, **options):
        return DepthSupervision(**options)(logits, (STRIDE,), [points], rig, RANGE)

    assert loss(cloud) == loss(cloud[1:])
    assert loss(cloud) != loss(cloud, min_radius=1.0)
    assert loss(cloud, max_lag=0.0) == loss(cloud[2:])
    assert loss(cloud, max_lag=0.0) != loss(cloud)
    with pytest.raises(ValueError, match=r"max_lag needs points .* got 4 columns"):
        loss(cloud[:, :4], max_lag=0.0)


def test_returns_outside_the_volume_are_no_targets_and_hide_nothing():
    """Published pipelines cut the points to the range, after augmentation: here the range is that of the volume."""
    rig, grid = _rig(), VoxelGrid((-20.0, -20.0, -2.0, 20.0, 20.0, 2.0), (10, 10, 2))
    inside = torch.tensor([[0.1, 12.0, 0.2, 0, 0]])
    # Too high, and in front of the one that is inside; and too far in x.
    outside = torch.tensor([[0.0, 5.0, 2.5, 0, 0], [25.0, 18.0, 0.0, 0, 0]])
    logits = [_logits()]

    def loss(points, grid):
        return DepthSupervision(grid=grid)(logits, (STRIDE,), [points], rig, RANGE)

    assert loss(torch.cat([inside, outside]), grid) == loss(inside, grid) == loss(inside, None)
    assert loss(torch.cat([inside, outside]), None) != loss(inside, None)


def test_the_camera_encoder_hands_its_volume_to_the_loss(supervised):
    assert supervised.encoder.depth_loss.grid is supervised.encoder.grid


def test_augmenting_the_scene_leaves_targets_as_they_are():
    matrix = rotation_z(0.7) @ scaling_matrix(1.05)
    cloud = _cloud()
    moved = cloud.clone()
    moved[:, :3] = (cloud[:, :3].double() @ matrix[:3, :3].T).float()
    plain = nearest_return([cloud], _rig(), SIZE, STRIDE)
    torch.testing.assert_close(nearest_return([moved], _rig(lidar_aug=matrix), SIZE, STRIDE), plain)


@pytest.mark.parametrize("cloud", [torch.zeros(0, 5), torch.tensor([[0.0, 500.0, 0.0, 0.0, 0.0]])])
def test_without_targets_the_loss_is_zero_and_still_differentiable(cloud):
    logits = torch.randn(1, 2, BINS, *SIZE, requires_grad=True)
    loss = DepthSupervision()([logits], (STRIDE,), [cloud], _rig(), RANGE)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_gradients_are_exact_and_of_cells_with_a_target_alone():
    nearest = torch.full((1, 1, 2, 2), math.inf, dtype=torch.float64)
    nearest[0, 0, 1, 0] = 6.0
    bins, valid = depth_bins(nearest, RANGE, 4)
    logits = torch.randn(1, 1, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: depth_cross_entropy(x, bins, valid), (logits,))
    depth_cross_entropy(logits, bins, valid).backward()
    assert torch.equal(logits.grad.abs().sum(dim=2)[0, 0] > 0, valid[0, 0])


@pytest.mark.parametrize("certainty", [5.0, 20.0, 200.0, 1e4])
def test_a_certain_and_wrong_choice_has_the_slope_of_float64_and_a_small_one(certainty):
    """Of rounded probabilities it is 1e12 times a rounding error, and nothing is learned for hundreds of steps."""
    bins, valid = torch.zeros(1, 1, 1, 1, dtype=torch.long), torch.ones(1, 1, 1, 1, dtype=torch.bool)
    chosen, results = torch.tensor([-certainty, certainty, 0.0, 0.3]).reshape(1, 1, 4, 1, 1), []
    for dtype in (torch.float32, torch.float64):
        logits = chosen.to(dtype, copy=True).requires_grad_()
        loss = depth_cross_entropy(logits, bins, valid)
        loss.backward()
        results.append((loss.detach().double(), logits.grad.double()))
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-6)
    loss, slope = results[0]
    # The true bin is 2 · certainty below the chosen one, which the rest would have to make up for as well.
    assert 2 * certainty <= loss <= 4 * certainty
    assert slope.flatten()[0] == pytest.approx(-1, abs=0.02)
    assert slope.abs().max() < 3


def test_half_precision_logits_are_compared_in_single():
    logits = _logits(dtype=torch.float32).bfloat16()
    points, rig = [_cloud()], _rig()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = DepthSupervision()([logits], (STRIDE,), points, rig, RANGE)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, DepthSupervision()([logits.float()], (STRIDE,), points, rig, RANGE))


@pytest.fixture(scope="module")
def supervised():
    """The tiny camera encoder with a depth loss, the model around it, and its batch of two."""
    torch.manual_seed(0)
    config = model_config()
    config["encoder"]["depth_loss"] = dict(weight=0.5)
    return MODELS.build(config)


@pytest.fixture(scope="module")
def batch(supervised, frame_root):
    return supervised.data_preprocessor(packed(frame_root, samples=2))


def test_the_camera_encoder_has_the_loss_in_training_alone(supervised, batch):
    encoder = supervised.encoder.train()
    loss = encoder(batch["inputs"]).losses["loss_lift_depth"]
    assert loss > 0
    encoder.zero_grad()
    loss.backward()
    assert encoder.depth_net.conv.weight.grad.abs().sum() > 0
    assert encoder.eval()(batch["inputs"]).losses == {}


def test_the_loss_has_no_state_so_that_checkpoints_fit_with_and_without():
    config = model_config()["encoder"]
    plain = MODELS.build(config).state_dict().keys()
    assert MODELS.build(config | dict(depth_loss=dict())).state_dict().keys() == plain


def test_missing_points_are_one_clear_error_in_training_and_none_in_evaluation(supervised, batch):
    inputs = replace(batch["inputs"], points=None)
    with pytest.raises(ValueError, match=r"depth_loss: the batch has no points.*LoadLidarSweeps"):
        supervised.encoder.train()(inputs)
    assert supervised.encoder.eval()(inputs).volume.data.isfinite().all()


def test_pre_training_adds_the_loss_to_those_of_rendering(supervised, batch):
    losses = supervised.train()(**batch, mode="loss")
    assert set(losses) == {"loss_color", "loss_depth", "opacity", "loss_lift_depth"}
    assert losses["loss_lift_depth"] > 0


def test_fusion_hands_the_loss_on_also_where_the_cameras_are_dropped(frame_root):
    config = fusion_model_config()
    config["encoder"]["camera"]["depth_loss"] = dict()
    model = MODELS.build(config).train()
    inputs = model.data_preprocessor(packed(frame_root, samples=1))["inputs"]
    output = model.encoder(inputs, InputMasking(image_ratio=0.0, point_ratio=0.0, drop_camera=1.0))
    assert list(output.losses) == ["loss_lift_depth"]
    assert output.losses["loss_lift_depth"] > 0
