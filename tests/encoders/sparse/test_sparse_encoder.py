"""The height-keeping sparse encoder: equal to dense convolutions, right cells, nothing computed on hidden voxels."""

import pytest
import torch
from torch.nn import functional as F

from ponderv2.encoders import HeightKeepingSparseEncoder, Voxels
from ponderv2.structures import VoxelGrid
from tests.factories import dense_reference
from tests.factories.voxels import random_voxels

RANGE = (-4.0, -4.0, -2.0, 4.0, 4.0, 2.0)
VOXELS, CELLS = VoxelGrid(RANGE, (16, 16, 12)), VoxelGrid(RANGE, (4, 4, 3))


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def encoder():
    return HeightKeepingSparseEncoder(3, stage_channels=(2, 3, 4), blocks=1, channels=5).double()


def dense_encoder(encoder: HeightKeepingSparseEncoder, voxels: Voxels) -> torch.Tensor:
    nz, ny, nx = voxels.grid.shape
    x = dense_reference.dense(voxels.features, voxels.coordinates, voxels.batch_size, (nz + 1, ny, nx))
    x = dense_reference.block(encoder.stem, x)
    for level, layers in enumerate(encoder.stages):
        x = dense_reference.stage(layers, x)
        if level < len(encoder.down):
            x = dense_reference.block(encoder.down[level], x)
    return x.with_rows(F.relu(encoder.project_norm(encoder.project(x.rows)))).volume


@pytest.mark.usefixtures("threads")
def test_values_and_gradients_equal_dense_convolutions(encoder):
    voxels = random_voxels(VOXELS)
    leaves = [voxels.features, *encoder.parameters()]
    actual, expected = encoder(voxels, CELLS), dense_encoder(encoder, voxels)
    assert actual.shape == (2, 5, 3, 4, 4)
    torch.testing.assert_close(actual, expected)
    probe = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((actual * probe).sum(), leaves), torch.autograd.grad((expected * probe).sum(), leaves)
    )


def test_the_published_grid_gives_the_published_volume():
    full = VoxelGrid((-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), (1440, 1440, 40))
    encoder = HeightKeepingSparseEncoder(3, channels=4)
    assert encoder.stride == 8
    voxels = Voxels(torch.randn(3, 3), torch.tensor([[0, 0, 0, 0], [0, 39, 1439, 1439], [0, 7, 8, 9]]).int(), 1, full)
    assert encoder(voxels, CELLS).shape == (1, 4, 5, 180, 180)


@pytest.mark.parametrize("place", [(0, 0, 0), (11, 15, 15), (3, 4, 7), (4, 8, 3), (7, 11, 12)])
def test_a_voxel_reaches_its_own_cell_and_at_most_the_neighbours(encoder, place):
    coordinates = torch.tensor([[0, *place]], dtype=torch.int32)
    voxels = Voxels(torch.ones(1, 3, dtype=torch.float64), coordinates, 1, VOXELS)
    encoder.eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.abs_()
        (data,) = encoder(voxels, CELLS)
    reached = data.sum(dim=0).nonzero()
    own = torch.tensor(place) // 4
    assert (reached == own).all(dim=1).any()
    assert (reached - own).abs().max() <= 1


def test_all_submanifold_convolutions_of_a_resolution_share_a_table(encoder):
    keys = {}
    for name, module in encoder.named_modules():
        if getattr(module, "subm", False):
            keys.setdefault(module.indice_key, []).append(name)
    assert sorted(keys) == ["resolution0", "resolution1", "resolution2"]
    assert [len(keys[k]) for k in sorted(keys)] == [3, 2, 2]


def test_a_sample_gives_the_same_alone_and_in_a_batch(encoder):
    encoder.eval()
    voxels = random_voxels(VOXELS)
    both = encoder(voxels, CELLS)
    for sample in range(2):
        mine = voxels.coordinates[:, 0] == sample
        places = voxels.coordinates[mine].contiguous()
        places[:, 0] = 0
        alone = encoder(Voxels(voxels.features[mine], places, 1, VOXELS), CELLS)
        torch.testing.assert_close(alone[0], both[sample])


@pytest.mark.parametrize("share", [0.0, 1e-3])
def test_batches_of_no_voxel_or_one_train(encoder, share):
    voxels = random_voxels(VOXELS, share=1.0)
    voxels = voxels.keep(torch.arange(len(voxels)) < round(share * 1000))
    data = encoder.train()(voxels, CELLS)
    data.sum().backward()
    assert data.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_half_precision_input_is_computed_in_single():
    encoder = HeightKeepingSparseEncoder(3, stage_channels=(2, 3, 4), blocks=1, channels=5)
    voxels = random_voxels(VOXELS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        data = encoder(voxels.with_features(voxels.features.bfloat16()), CELLS)
    assert data.dtype == torch.float32


def test_weights_load_as_they_were_saved_also_without_spconv_s_version_number(encoder):
    plain = {name: value.clone() for name, value in encoder.state_dict().items()}
    other = HeightKeepingSparseEncoder(3, stage_channels=(2, 3, 4), blocks=1, channels=5).double()
    other.load_state_dict(plain)
    assert all(torch.equal(value, plain[name]) for name, value in other.state_dict().items())
    # With as many channels as the kernel is wide both orders have the same shape, and nothing would be noticed.
    one, two = (HeightKeepingSparseEncoder(3, stage_channels=(3, 3), blocks=1, channels=3) for _ in range(2))
    two.load_state_dict(dict(one.state_dict()))
    assert torch.equal(one.stem.conv.weight, two.stem.conv.weight)


def test_one_stage_is_refused():
    with pytest.raises(ValueError, match="at least two stages"):
        HeightKeepingSparseEncoder(3, stage_channels=(4,))
