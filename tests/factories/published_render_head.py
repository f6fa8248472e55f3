"""UniPAD's rendering head in plain torch, on weights by their published names.

What it computes is a fact about github.com/Nightmare-n/UniPAD: `render_head.py`, `sdf_field.py`, `rays.py` and
`renderers.py`, with NeuS' opacity. Lengths are scene units, metres over the largest coordinate of the range.
"""

import itertools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.factories.published_image_modules import Weights, batch_norm, linear

_FIELD = "pts_bbox_head.render_model.field"


def project(weights: Weights, volume: Tensor) -> Tensor:
    """The convolution before the renderer."""
    name = "pts_bbox_head.render_conv"
    x = F.conv3d(volume, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"], padding=1)
    return F.relu(batch_norm(weights, f"{name}.1", x))


def read(volume: Tensor, points: Tensor, point_cloud_range: Sequence[float]) -> Tensor:
    """Features of one projected volume `[C, Z, Y, X]` at points `[R, S, 3]` in metres; its cells span the range."""
    low, high = (points.new_tensor(part) for part in (point_cloud_range[:3], point_cloud_range[3:]))
    place = 2 * (points - low) / (high - low) - 1
    return F.grid_sample(volume[None], place[None, None], align_corners=True)[0, :, 0].permute(1, 2, 0)


def signed_distance(
    weights: Weights, volume: Tensor, points: Tensor, point_cloud_range: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor]:
    """Signed distance, geometry feature, and feature of the volume at points in scene units."""
    features = read(volume, points * max(map(abs, point_cloud_range)), point_cloud_range)
    out = _perceptron(weights, "sdf_decoder", points, features, lambda x: F.softplus(x, beta=100))
    return out[..., 0], out[..., 1:], features


def field(
    weights: Weights, volume: Tensor, points: Tensor, directions: Tensor, point_cloud_range: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor]:
    """Signed distance, its gradient by autograd, and color at points `[R, S, 3]` in scene units."""
    points = points.detach().requires_grad_()
    with torch.enable_grad():
        distance, geometry, features = signed_distance(weights, volume, points, point_cloud_range)
        (gradient,) = torch.autograd.grad(distance.sum(), points)
    condition = torch.cat([directions, features.detach(), gradient, geometry.detach()], dim=-1)
    color = _perceptron(weights, "rgb_decoder", points.detach(), condition, F.relu).sigmoid()
    return distance.detach(), gradient, color


def render(
    weights: Weights,
    volume: Tensor,
    origins: Tensor,
    directions: Tensor,
    edges: Tensor,
    point_cloud_range: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor]:
    """Color, depth and opacity of rays whose sections have these edges `[R, S + 1]`; samples are at their starts."""
    t, delta = edges[:, :-1], edges.diff(dim=1)
    ahead = directions[:, None].expand(*t.shape, 3)
    points = origins[:, None] + ahead * t[..., None]
    distance, gradient, color = field(weights, volume, points, ahead, point_cloud_range)
    sharpness = (10 * weights[f"{_FIELD}.deviation_network.variance"]).exp().clip(1e-6, 1e6)
    half = -F.relu(-(ahead * gradient).sum(dim=-1)) * delta / 2
    before, after = (((distance + sign * half) * sharpness).sigmoid() for sign in (-1, 1))
    alpha = ((before - after + 1e-5) / (before + 1e-5)).clip(0, 1)
    passed = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha + 1e-7], dim=1), dim=1)[:, :-1]
    weight = alpha * passed
    total = weight.sum(dim=1)
    depth = ((weight * t).sum(dim=1) / (total + 1e-10)).clip(t.min(), t.max())
    return (weight[..., None] * color).sum(dim=1), depth, total


def _perceptron(
    weights: Weights, name: str, points: Tensor, condition: Tensor, activation: Callable[[Tensor], Tensor]
) -> Tensor:
    x = linear(weights, f"{_FIELD}.{name}.fc_p", points)
    for k in itertools.count():
        x = linear(weights, f"{_FIELD}.{name}.lin{k}", x + linear(weights, f"{_FIELD}.{name}.fc_c.{k}", condition))
        if f"{_FIELD}.{name}.lin{k + 1}.weight" not in weights:
            return x
        x = activation(x)
