"""SECOND on volumes: 2-D convolutions on the levels equal (1, 3, 3) ones on the volume; branches are summed."""

import pytest
import torch
from torch.nn import functional as F

from ponderv2.encoders import SECOND3D, SECOND3DFPN


@pytest.fixture
def backbone():
    return SECOND3D(3, channels=(4, 5, 6), blocks=(1, 0, 2)).double()


@pytest.fixture
def neck():
    return SECOND3DFPN((4, 5, 6), channels=7).double()


@pytest.fixture
def volume():
    return torch.randn(2, 3, 4, 8, 12, dtype=torch.float64, requires_grad=True)


def by_level(norm, x: torch.Tensor) -> torch.Tensor:
    """Batch norm over samples and levels alike."""
    dims = (0, 2, 3, 4)
    mean, var = x.mean(dim=dims, keepdim=True), x.var(dim=dims, keepdim=True, unbiased=False)
    shape = (1, -1, 1, 1, 1)
    return (x - mean) / (var + norm.eps).sqrt() * norm.weight.view(shape) + norm.bias.view(shape)


def volume_twin(backbone: SECOND3D, neck: SECOND3DFPN, volume: torch.Tensor) -> torch.Tensor:
    """The published form, with 3-D layers."""
    total = 0
    for branch, lateral in zip(backbone.branches, neck.lateral):
        x = volume
        for module in branch:
            stride = (1, *module.conv.stride)
            x = F.conv3d(x, module.conv.weight[:, :, None], stride=stride, padding=(0, 1, 1))
            x = F.relu(by_level(module.norm, x))
        conv, norm, _ = lateral
        if isinstance(conv, torch.nn.ConvTranspose2d):
            x = F.conv_transpose3d(x, conv.weight[:, :, None], stride=(1, *conv.stride))
        else:
            x = F.conv3d(x, conv.weight[:, :, None])
        total = total + F.relu(by_level(norm, x))
    return total


def test_values_and_gradients_equal_three_dimensional_layers(backbone, neck, volume):
    leaves = [volume, *backbone.parameters(), *neck.parameters()]
    actual, expected = neck(backbone(volume), 4), volume_twin(backbone, neck, volume)
    assert actual.shape == (2, 7, 4, 8, 12)
    torch.testing.assert_close(actual, expected)
    probe = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((actual * probe).sum(), leaves), torch.autograd.grad((expected * probe).sum(), leaves)
    )


def test_levels_and_samples_never_mix(backbone, neck, volume):
    backbone.eval()
    neck.eval()
    changed = volume.detach().clone()
    changed[1, :, 2] += 1.0
    difference = (neck(backbone(changed), 4) - neck(backbone(volume), 4)).abs().amax(dim=(1, 3, 4))
    assert (difference > 0).nonzero().tolist() == [[1, 2]]


def test_the_published_sizes_have_the_published_branches():
    branches = SECOND3D(256).branches
    assert [branch[0].conv.out_channels for branch in branches] == [128, 256, 512]
    assert [branch[0].conv.stride[0] for branch in branches] == [1, 2, 4]
    assert [len(branch) for branch in branches] == [6, 6, 6]


def test_sizes_that_the_strides_do_not_divide_are_one_clear_error(backbone, neck):
    with pytest.raises(ValueError, match="whole multiples of the largest stride"):
        neck(backbone(torch.randn(1, 3, 2, 6, 8, dtype=torch.float64)), 2)
    with pytest.raises(ValueError, match="expected 3 maps, got 1"):
        neck((torch.zeros(2, 4, 8, 8, dtype=torch.float64),), 2)


def test_unequal_numbers_of_branches_are_refused():
    with pytest.raises(ValueError, match="one number a branch"):
        SECOND3D(4, channels=(4, 4), strides=(1, 2, 4))
