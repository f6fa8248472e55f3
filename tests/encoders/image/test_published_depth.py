"""Depth networks compute what a plain statement of the published ones does."""

import re

import torch
from torch import Tensor

from ponderv2.encoders import DepthNet, SimpleDepth
from tests.factories.published_depth import published_complex_depth, published_simple_depth

NAMES = [
    (r"^reduce\.conv\.", "reduce_conv.0."),
    (r"^reduce\.bn\.", "reduce_conv.1."),
    (r"^blocks\.", "depth_conv."),
    (r"^pyramid\.branches\.(\d)\.conv\.", lambda m: f"depth_conv.3.aspp{int(m[1]) + 1}.atrous_conv."),
    (r"^pyramid\.branches\.(\d)\.bn\.", lambda m: f"depth_conv.3.aspp{int(m[1]) + 1}.bn."),
    (r"^pyramid\.image_mean\.conv\.", "depth_conv.3.global_avg_pool.1."),
    (r"^pyramid\.image_mean\.bn\.", "depth_conv.3.global_avg_pool.2."),
    (r"^pyramid\.merge\.conv\.", "depth_conv.3.conv1."),
    (r"^pyramid\.merge\.bn\.", "depth_conv.3.bn1."),
    (r"^bins\.", "depth_conv.4."),
]


def randomized(network: torch.nn.Module) -> torch.nn.Module:
    """Draw all parameters and running statistics, so that no two are alike."""
    torch.manual_seed(0)
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        spread = (2 / value[0].numel()) ** 0.5 if value.ndim > 1 else 0.3
        value.copy_(spread * torch.randn_like(value) + (name.endswith("bn.weight") or value.ndim == 1))
        if name.endswith("running_var"):
            value.abs_().add_(0.1)
    return network.eval()


def published_names(network: DepthNet) -> dict[str, Tensor]:
    weights = {}
    for name, value in network.state_dict().items():
        for pattern, replacement in NAMES:
            name, found = re.subn(pattern, replacement, name)
            if found:
                break
        weights[f"depth_net.{name}"] = value
    return weights


def test_simple_depth_is_the_published_one():
    network, features = randomized(SimpleDepth(16, 64)), torch.randn(2, 16, 7, 9)
    weights = {f"depth_net.{name.removeprefix('conv.')}": value for name, value in network.state_dict().items()}
    expected = published_simple_depth(weights, features)
    torch.testing.assert_close(network(features).softmax(dim=1), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_depth_net_is_the_published_one():
    network = randomized(DepthNet(24, num_bins=118, channels=32, pyramid_channels=12))
    features = torch.randn(2, 24, 29, 50)
    expected = published_complex_depth(published_names(network), features)
    # Certain enough that an error would show.
    assert expected.amax(dim=1).mean() > 0.1
    torch.testing.assert_close(network(features).softmax(dim=1), expected, rtol=1e-4, atol=1e-4)
