"""The depth heads: logits of bins, published sizes, and batch norm over few images."""

import pytest
import torch

from ponderv2.encoders import DepthNet, SimpleDepth
from ponderv2.encoders.image.depth_net import AtrousPyramid
from ponderv2.registry import MODELS

SMALL = dict(in_channels=4, num_bins=6, channels=8, pyramid_channels=3, num_blocks=2)


@pytest.mark.parametrize(
    "config", [dict(type="mmdet3d.SimpleDepth", in_channels=4, num_bins=6), dict(type="mmdet3d.DepthNet", **SMALL)]
)
def test_every_cell_has_a_logit_for_each_bin(config):
    net = MODELS.build(config)
    assert isinstance(net, (SimpleDepth, DepthNet))
    logits = net(torch.randn(2, 4, 5, 7))
    assert logits.shape == (2, 6, 5, 7)
    # No norm of them, so that none of their size is lost.
    assert logits.amin() < 0 < logits.amax()
    assert logits.sum(dim=1).std() > 0.01


def test_the_default_is_the_published_net():
    net = DepthNet(256)
    shapes = {name: tuple(p.shape) for name, p in net.named_parameters() if p.ndim == 4}
    assert shapes["reduce.conv.weight"] == (256, 256, 3, 3)
    assert [n for n in shapes if n.startswith("blocks.")] == [
        f"blocks.{b}.conv{c}.weight" for b in range(3) for c in (1, 2)
    ]
    branches = [net.pyramid.branches[k].conv for k in range(4)]
    assert [b.weight.shape for b in branches] == [(96, 256, 1, 1)] + [(96, 256, 3, 3)] * 3
    assert [b.dilation for b in branches] == [(1, 1), (6, 6), (12, 12), (18, 18)]
    assert shapes["pyramid.image_mean.conv.weight"] == (96, 256, 1, 1)
    assert shapes["pyramid.merge.conv.weight"] == (256, 480, 1, 1)
    assert net.dropout.p == 0.5
    assert shapes["bins.weight"] == (118, 256, 1, 1)


def test_every_parameter_gets_a_gradient():
    net = DepthNet(**SMALL)
    net(torch.randn(6, 4, 5, 7))[:, 2].sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_the_mean_of_the_image_is_seen_everywhere():
    pyramid = AtrousPyramid(4, 3, 5, (2,), dict(type="BN")).eval()
    # A field of view of two cells does not reach from corner to corner; the image's mean does.
    image = torch.randn(1, 4, 12, 12)
    other = image.clone()
    other[..., -1, -1] += 5.0
    changed = (pyramid(other) - pyramid(image)).abs().sum(dim=1)[0]
    assert changed[0, 0] > 0
    torch.nn.init.zeros_(pyramid.image_mean.conv.weight)
    changed = (pyramid(other) - pyramid(image)).abs().sum(dim=1)[0]
    assert changed[0, 0] == 0
    assert changed[-1, -1] > 0


def test_a_single_image_trains_with_the_running_statistics_of_its_mean_alone():
    net = DepthNet(**SMALL).train()
    norm, other = net.pyramid.image_mean.norm, net.reduce.norm
    before = norm.running_mean.clone(), other.running_mean.clone()
    net(torch.randn(1, 4, 5, 7))[:, 2].sum().backward()
    assert torch.equal(norm.running_mean, before[0])
    assert not torch.equal(other.running_mean, before[1])
    assert norm.training
    assert norm.weight.grad.isfinite().all()
    net(torch.randn(6, 4, 5, 7))
    assert not torch.equal(norm.running_mean, before[0])


def test_another_norm_can_be_chosen():
    net = DepthNet(4, num_bins=6, channels=8, pyramid_channels=4, norm_cfg=dict(type="GN", num_groups=2))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())
    assert net.train()(torch.randn(1, 4, 5, 7)).isfinite().all()
