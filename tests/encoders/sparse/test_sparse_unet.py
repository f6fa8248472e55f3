"""The sparse U-Net: equal to dense convolutions, a feature for every voxel, means in the cells that hold them."""

import pytest
import torch

from ponderv2.encoders import Voxels, VoxelUNet
from ponderv2.encoders.sparse.pooling import pool_to_volume
from ponderv2.structures import VoxelGrid
from tests.factories import dense_reference
from tests.factories.voxels import random_voxels

RANGE = (-4.0, -4.0, -2.0, 4.0, 4.0, 2.0)
# Odd numbers of voxels on the way down: 10, 5.
VOXELS, CELLS = VoxelGrid(RANGE, (10, 10, 6)), VoxelGrid(RANGE, (5, 2, 3))


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def unet():
    return VoxelUNet(3, base_channels=2, channels=(3, 4, 4, 5), blocks=(1, 2, 1, 1)).double()


def dense_unet(unet: VoxelUNet, voxels: Voxels) -> torch.Tensor:
    shape = tuple(-(-n // 4) * 4 for n in voxels.grid.shape)
    x = dense_reference.dense(voxels.features, voxels.coordinates, voxels.batch_size, shape)
    x = dense_reference.block(unet.stem, x)
    skips = []
    for down, encode in zip(unet.down, unet.encode):
        skips.append(x)
        x = dense_reference.stage(encode, dense_reference.block(down, x))
    for up, decode in zip(unet.up, unet.decode):
        skip = skips.pop()
        x = dense_reference.block(up, x, onto=skip.active)
        x = dense_reference.stage(decode, x.with_rows(torch.cat([x.rows, skip.rows], dim=1)))
    return x.rows


@pytest.mark.usefixtures("threads")
def test_values_and_gradients_equal_dense_convolutions(unet):
    voxels = random_voxels(VOXELS)
    leaves = [voxels.features, *unet.parameters()]
    actual, expected = unet.features(voxels), dense_unet(unet, voxels)
    assert actual.shape == (len(voxels), 5)
    torch.testing.assert_close(actual, expected)
    probe = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((actual * probe).sum(), leaves), torch.autograd.grad((expected * probe).sum(), leaves)
    )


def test_the_published_network_has_the_published_widths():
    unet = VoxelUNet()
    assert unet.channels == 96
    assert [layers[0].conv1.out_channels for layers in unet.encode] == [32, 64, 128, 256]
    assert [layers[0].conv1.in_channels for layers in unet.decode] == [256 + 128, 128 + 64, 96 + 32, 96 + 32]
    assert [layers[0].conv1.out_channels for layers in unet.decode] == [256, 128, 96, 96]
    assert [len(layers) for layers in [*unet.encode, *unet.decode]] == [2, 3, 4, 6, 2, 2, 2, 2]
    assert unet.stem.conv.kernel_size == [5, 5, 5]


def test_every_voxel_is_reached_by_the_deepest_level_whatever_the_number_of_voxels(unet):
    unet.eval()
    corner = Voxels(torch.ones(1, 3, dtype=torch.float64), torch.tensor([[0, 5, 9, 9]]).int(), 1, VOXELS)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.abs_()
        before = unet.features(corner)
        unet.encode[-1][0].conv2.weight.mul_(2.0)
        assert not torch.equal(unet.features(corner), before)


def test_a_cell_of_the_volume_holds_the_mean_of_its_voxels_and_empty_ones_zero():
    voxels = random_voxels(VOXELS, share=0.1)
    data = pool_to_volume(voxels, CELLS)
    assert data.shape == (2, 3, 3, 2, 5)
    step = torch.tensor([2, 5, 2])
    cells = voxels.coordinates[:, 1:] // step
    for sample, z, y, x in torch.cartesian_prod(*(torch.arange(n) for n in (2, 3, 2, 5))).tolist():
        inside = (voxels.coordinates[:, 0] == sample) & (cells == torch.tensor([z, y, x])).all(dim=1)
        expected = voxels.features[inside].mean(dim=0) if inside.any() else torch.zeros(3, dtype=torch.float64)
        torch.testing.assert_close(data[sample, :, z, y, x], expected)


def test_a_volume_that_does_not_divide_the_voxels_is_refused():
    with pytest.raises(ValueError, match="does not divide"):
        pool_to_volume(random_voxels(VOXELS), VoxelGrid(RANGE, (4, 5, 3)))


@pytest.mark.parametrize(("channels", "blocks"), [((4, 4, 4), (1, 1, 1)), ((4, 4), (1,)), ((), ())])
def test_unequal_or_odd_stages_are_refused(channels, blocks):
    with pytest.raises(ValueError, match="as many stages down as up"):
        VoxelUNet(3, channels=channels, blocks=blocks)
