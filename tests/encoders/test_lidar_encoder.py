"""The LiDAR encoder: grids that agree, hidden voxels without influence, empty samples, cells in the right place."""

import logging

import pytest
import torch

from ponderv2.encoders import HeightKeepingSparseEncoder, VoxelUNet
from ponderv2.encoders.lidar_encoder import voxel_grid_of
from ponderv2.masking import InputMasking
from ponderv2.registry import MODELS
from ponderv2.structures import SensorBatch, VoxelGrid
from tests.factories.lidar_models import RANGE, lidar_encoder_config, unet_encoder_config


def sweep(seed: int = 0, count: int = 800) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 5, generator=generator) * 40 - 20
    points[:, 2] = points[:, 2] / 8 - 1
    points[:, 3] = points[:, 3].abs()
    points[:, 4] = 0
    return points


def hiding(**kwargs) -> InputMasking:
    return InputMasking(generator=torch.Generator().manual_seed(0), **kwargs)


@pytest.fixture(params=[lidar_encoder_config, unet_encoder_config], ids=["voxelnet", "unet"])
def encoder(request):
    return MODELS.build(request.param())


@pytest.fixture
def warnings(monkeypatch):
    """Text of what is logged."""
    from ponderv2.encoders import lidar_encoder

    messages = []

    def keep(message: str, logger: str, level: int) -> None:
        assert logger == "current"
        assert level == logging.WARNING
        messages.append(message)

    monkeypatch.setattr(lidar_encoder, "print_log", keep)
    return messages


def test_the_volume_is_that_of_the_grid_with_a_value_a_sample(encoder):
    volume = encoder(SensorBatch(points=[sweep(0), sweep(1)])).volume
    assert volume.data.shape == (2, 8, 4, 24, 24)
    assert volume.grid == VoxelGrid(RANGE, (24, 24, 4))
    assert not torch.equal(*volume.data)


def test_every_parameter_gets_a_gradient_masked_or_not(encoder):
    for masking in (hiding(), None):
        encoder.zero_grad()
        encoder.train()(SensorBatch(points=[sweep()]), masking).volume.data.square().mean().backward()
        wrong = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
        assert wrong == []


@pytest.mark.parametrize("point", [(-23.9, 3.1, -3.9), (0.01, -0.01, 0.01), (23.9, 23.9, 3.9), (7.3, -15.2, 1.4)])
def test_a_point_lands_in_the_cell_that_the_grid_says(point):
    unet = MODELS.build(unet_encoder_config(mask_token=False)).eval()
    volume = unet(SensorBatch(points=[torch.tensor([[*point, 9.0, 0.0]])])).volume
    (cell,) = (volume.data[0].abs().sum(dim=0) > 0).nonzero().flip(1).tolist()
    nearest = (volume.grid.centers() - torch.tensor(point)).abs().amax(dim=-1)
    at = nearest[cell[2], cell[1], cell[0]]
    assert at == nearest.min()
    half = torch.tensor(volume.grid.voxel_size) / 2
    center = volume.grid.centers()[cell[2], cell[1], cell[0]]
    assert ((center - torch.tensor(point)).abs() <= half + 1e-6).all()


def test_hidden_voxels_have_no_influence(encoder):
    encoder.eval()
    points = sweep()
    voxels = encoder.voxelize([points])
    visible = hiding().draw_voxel_mask(voxels.coordinates, 1)
    changed = voxels.with_features(torch.where(visible[:, None], voxels.features, torch.rand(()) * 100))
    with torch.no_grad():
        first, second = (encoder.encode_voxels(encoder.mask(v, hiding())) for v in (voxels, changed))
    assert torch.equal(first, second)


def test_dropped_voxels_are_not_computed_on_and_a_token_keeps_their_places(monkeypatch):
    seen = []
    for kind, name, config in (
        (HeightKeepingSparseEncoder, "forward", lidar_encoder_config),
        (VoxelUNet, "features", unet_encoder_config),
    ):
        encoder = MODELS.build(config())
        compute = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda s, v, *grid, f=compute: seen.append(len(v)) or f(s, v, *grid))
        for masking in (None, hiding()):
            encoder(SensorBatch(points=[sweep()]), masking)
    assert seen[1] < 0.3 * seen[0]
    assert seen[3] == seen[2]


def test_nothing_is_hidden_at_ratio_0(encoder):
    encoder.eval()
    batch = SensorBatch(points=[sweep()])
    with torch.no_grad():
        assert torch.equal(encoder(batch, hiding(point_ratio=0.0)).volume.data, encoder(batch).volume.data)


@pytest.mark.parametrize("empty", [0, 1])
def test_a_sample_without_points_keeps_its_place_and_is_logged(encoder, empty, warnings):
    encoder.eval()
    points = [sweep(), sweep()]
    points[empty] = points[empty][:0]
    data = encoder(SensorBatch(points=points), hiding(point_ratio=0.0)).volume.data
    assert data.shape[0] == 2
    torch.testing.assert_close(data[1 - empty], encoder(SensorBatch(points=[sweep()])).volume.data[0])
    assert f"samples [{empty}] of the batch are empty: no point of" in warnings[0]


@pytest.mark.parametrize("kind", ["no points", "out of range", "one block, hidden"])
def test_a_batch_without_a_visible_voxel_is_an_empty_scene_that_trains(encoder, kind, warnings):
    points = {
        "no points": sweep()[:0],
        "out of range": sweep() + 1000.0,
        "one block, hidden": sweep()[:2] * 0.001,
    }[kind]
    if kind == "one block, hidden":
        points += 0.5
    data = encoder.train()(SensorBatch(points=[points]), hiding()).volume.data
    assert data.isfinite().all()
    data.sum().backward()
    wrong = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert wrong == []
    if kind != "one block, hidden":
        assert "no point of" in warnings[0]
    elif encoder.mask_token is None:
        assert warnings == ["LidarEncoder: samples [0] of the batch are empty: every voxel is hidden"]


def test_names_do_not_depend_on_masking_and_convolutions_at_the_end_are_new():
    names = set(MODELS.build(lidar_encoder_config()).state_dict())
    finer = set(MODELS.build(lidar_encoder_config(num_convs=2)).state_dict())
    assert names < finer
    assert {n.split(".")[0] for n in finer - names} == {"convs"}


def test_columns_are_scaled_and_the_rest_is_left_out():
    encoder = MODELS.build(unet_encoder_config(feature_scale=(1.0, 1.0, 1.0, 0.5)))
    voxels = encoder.voxelize([torch.tensor([[1.0, 2.0, 3.0, 8.0, 7.0]])])
    assert voxels.features.tolist() == [[1.0, 2.0, 3.0, 4.0]]
    with pytest.raises(ValueError, match="asks for 4 columns a point, got points with 3"):
        encoder.voxelize([torch.zeros(2, 3)])


def test_the_limit_of_voxels_differs_in_training():
    encoder = MODELS.build(lidar_encoder_config(max_voxels=(10, 20)))
    assert len(encoder.train().voxelize([sweep()])) == 10
    assert len(encoder.eval().voxelize([sweep()])) == 20


def test_a_batch_without_points_at_all_is_one_clear_error(encoder):
    with pytest.raises(ValueError, match="the batch has no points"):
        encoder(SensorBatch(images=torch.zeros(1, 6, 3, 8, 8)))


def test_the_published_voxels_fit_the_published_volume():
    grid = VoxelGrid((-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), (180, 180, 5))
    assert voxel_grid_of(grid, (0.075, 0.075, 0.2), 8).size == (1440, 1440, 40)
    assert voxel_grid_of(grid, (0.1, 0.1, 0.1), None).size == (1080, 1080, 80)


@pytest.mark.parametrize(
    ("voxel_size", "stride", "message"),
    [
        ((0.1, 0.1, 0.2), 8, r"1080, 1080, 40.* a cell must be 8 voxels wide on every axis, not \(6.0, 6.0, 8.0\)"),
        ((0.07, 0.075, 0.2), 8, r"does not divide the range"),
        ((0.08, 0.08, 0.2), None, r"a whole number of voxels wide on every axis, not \(7.5, 7.5, 8.0\)"),
        ((200.0, 0.075, 0.2), None, r"does not divide the range"),
    ],
)
def test_voxels_that_do_not_fit_the_volume_are_one_clear_error(voxel_size, stride, message):
    grid = VoxelGrid((-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), (180, 180, 5))
    with pytest.raises(ValueError, match=message):
        voxel_grid_of(grid, voxel_size, stride)


def test_contradictions_in_the_configuration_are_refused():
    with pytest.raises(ValueError, match="expected both or none"):
        MODELS.build(lidar_encoder_config(pts_neck=None))
    with pytest.raises(ValueError, match="channels=16, but the network before the volume gives 8"):
        MODELS.build(lidar_encoder_config(channels=16))


def test_a_sparse_unet_gives_the_features_of_every_voxel_and_their_mean_as_the_volume():
    encoder = MODELS.build(unet_encoder_config()).eval()
    points = [sweep(), sweep()[:0]]
    with torch.no_grad():
        output = encoder(SensorBatch(points=points))
        voxels = encoder.voxelize(points)
        expected = encoder.pts_middle_encoder(encoder.mask(voxels, None), encoder.grid)
    assert torch.equal(output.voxels.coordinates, voxels.coordinates)
    torch.testing.assert_close(output.volume.data, expected)
    assert MODELS.build(lidar_encoder_config()).eval()(SensorBatch(points=points)).voxels is None
