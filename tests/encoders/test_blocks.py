"""Building blocks: a norm that leaves the layout of a volume alone."""

import pytest
import torch
import torch.nn.functional as F

from ponderv2.encoders.blocks import SampleNorm3d, conv3d_block


@pytest.mark.parametrize("batch", [1, 2])
def test_norms_by_sample_are_torchs_and_leave_channels_last(batch):
    block = conv3d_block(3, 3, dict(type="IN3d", affine=True)).double()
    norm = block.norm
    assert isinstance(norm, SampleNorm3d)
    torch.nn.init.uniform_(norm.weight)
    torch.nn.init.uniform_(norm.bias)
    volume = torch.randn(batch, 3, 4, 5, 6, dtype=torch.float64) + 2
    results = []
    for layout in (torch.contiguous_format, torch.channels_last_3d):
        leaf = volume.contiguous(memory_format=layout).requires_grad_()
        normed = norm(leaf)
        assert normed.is_contiguous(memory_format=layout)
        gradients = torch.autograd.grad(normed.sin().sum(), [leaf, norm.weight, norm.bias])
        results.append((normed, *gradients))
    torch.testing.assert_close(*results)
    torch.testing.assert_close(results[0][0], F.instance_norm(volume, weight=norm.weight, bias=norm.bias))


def test_the_names_of_the_norms_weights_are_those_of_mmcv():
    names = set(conv3d_block(3, 3, dict(type="IN3d", affine=True)).state_dict())
    assert names == {"conv.weight", "in.weight", "in.bias"}
