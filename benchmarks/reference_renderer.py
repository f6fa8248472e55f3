"""The rendering decoder as it was published, for comparison: it has autograd's double backward and a loop over samples.

It is written for measuring, not for use: the published formulas (UniPAD's render head) with what torch offers at
hand. Features are gathered corner by corner, the normal is `autograd.grad(create_graph=True)`, opacity is the
quotient with its epsilons, transmittance a product. It reads the weights of a `VolumeRenderer`, so both
render the same picture.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.rendering import ConditionedMLP, HierarchicalSampler, VolumeRenderer
from ponderv2.rendering.samplers import sample_from_weights
from ponderv2.structures import FeatureVolume


def render_as_published(
    renderer: VolumeRenderer, volume: FeatureVolume, origins: Tensor, directions: Tensor, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor]:
    """Render colour `[B, Q, 3]` and depth `[B, Q]` in metres of rays, without jitter; differentiable.

    `epsilon` is what the published opacity adds to numerator and denominator, and a hundredth of it to each
    transparency; far inside of surfaces it changes the picture.
    """
    near, far, _ = renderer.collider(origins, directions, volume.grid.point_cloud_range)
    rendered = [
        _one_sample(
            renderer, volume.with_data(volume.data[b : b + 1]), origins[b], directions[b], near[b], far[b], epsilon
        )
        for b in range(len(origins))
    ]
    return torch.stack([r[0] for r in rendered]), torch.stack([r[1] for r in rendered])


def _one_sample(
    renderer: VolumeRenderer,
    volume: FeatureVolume,
    origins: Tensor,
    directions: Tensor,
    near: Tensor,
    far: Tensor,
    epsilon: float,
) -> tuple[Tensor, Tensor]:
    scale = volume.grid.scene_scale
    near, far = near * scale, far * scale
    t = _positions(renderer, volume, origins, directions, near, far, epsilon)
    delta = torch.cat([t[:, 1:], far[:, None]], dim=1) - t
    points = (origins[:, None] + directions[:, None] * t[..., None] / scale).requires_grad_()
    features = _trilinear(volume, points)
    field = renderer.field
    output = _perceptron(field.sdf_mlp, points * scale, features)
    sdf = output[..., 0]
    (normal,) = torch.autograd.grad(sdf, points, torch.ones_like(sdf), create_graph=True)
    normal = normal / scale
    view_directions = directions[:, None].expand_as(points)
    condition = torch.cat([view_directions, features, normal, output[..., 1:]], dim=-1)
    rgb = torch.sigmoid(_perceptron(field.color_mlp, points * scale, condition))
    slope = -F.relu(-(normal * view_directions).sum(dim=-1))
    alpha = _alpha(sdf, slope, delta, renderer.opacity.sharpness, epsilon)
    weights = _weights(alpha, epsilon)
    opacity = weights.sum(dim=-1)
    depth = (weights * t).sum(dim=-1) / (opacity + 1e-10)
    depth = torch.minimum(torch.maximum(depth, t.min()), t.max())
    return (weights[..., None] * rgb).sum(dim=-2), depth / scale


@torch.no_grad()
def _positions(
    renderer: VolumeRenderer,
    volume: FeatureVolume,
    origins: Tensor,
    directions: Tensor,
    near: Tensor,
    far: Tensor,
    epsilon: float,
) -> Tensor:
    """Place even proposals, and more samples where a sharp guess of the surface has its weight."""
    sampler: HierarchicalSampler = renderer.sampler
    scale = volume.grid.scene_scale
    steps = (torch.arange(sampler.num_proposals, device=near.device, dtype=near.dtype) + 0.5) / sampler.num_proposals
    t = near[:, None] + (far - near)[:, None] * steps
    points = origins[:, None] + directions[:, None] * t[..., None] / scale
    sdf = _perceptron(renderer.field.sdf_mlp, points * scale, _trilinear(volume, points))[..., 0]
    delta = t[:, 1:] - t[:, :-1]
    slope = (sdf[:, 1:] - sdf[:, :-1]) / delta
    slope = torch.minimum(F.pad(slope[:, :-1], (1, 0)), slope).clamp(-1e3, 0.0)
    weights = _weights(_alpha((sdf[:, 1:] + sdf[:, :-1]) / 2, slope, delta, sampler.sharpness, epsilon), epsilon)
    new = sample_from_weights(t, weights, sampler.num_important)
    return torch.cat([t, new], dim=1).sort(dim=1).values


def _trilinear(volume: FeatureVolume, points: Tensor) -> Tensor:
    """Interpolate features corner by corner, zero outside; differentiable twice in points and volume."""
    grid = volume.grid
    index = grid.to_index(points)
    base = index.detach().floor()
    fraction = index - base
    cells = volume.data[0].flatten(1).t()
    nx, ny, nz = grid.size
    features = 0.0
    for corner in range(8):
        upper = [corner >> axis & 1 for axis in range(3)]
        weight = 1.0
        for axis in range(3):
            weight = weight * (fraction[..., axis] if upper[axis] else 1 - fraction[..., axis])
        x, y, z = (base[..., axis].long() + upper[axis] for axis in range(3))
        inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny) & (z >= 0) & (z < nz)
        rows = (z.clamp(0, nz - 1) * ny + y.clamp(0, ny - 1)) * nx + x.clamp(0, nx - 1)
        features = features + F.embedding(rows, cells) * (weight * inside)[..., None]
    return features


def _perceptron(mlp: ConditionedMLP, points: Tensor, condition: Tensor) -> Tensor:
    """Run the perceptron layer by layer; the condition is projected anew for each."""
    x = mlp.point_proj(points)
    width = x.shape[-1]
    for i, layer in enumerate(mlp.layers):
        rows = slice(i * width, (i + 1) * width)
        x = layer(x + F.linear(condition, mlp.condition_proj.weight[rows], mlp.condition_proj.bias[rows]))
        if i + 1 < len(mlp.layers):
            x = F.softplus(x, beta=100.0) if mlp.activation == "softplus" else F.relu(x)
    return x


def _alpha(sdf: Tensor, slope: Tensor, delta: Tensor, sharpness: Tensor | float, epsilon: float) -> Tensor:
    before = torch.sigmoid((sdf - slope * delta / 2) * sharpness)
    after = torch.sigmoid((sdf + slope * delta / 2) * sharpness)
    return ((before - after + epsilon) / (before + epsilon)).clamp(0.0, 1.0)


def _weights(alpha: Tensor, epsilon: float) -> Tensor:
    ahead = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha + epsilon / 100], dim=1), dim=1)[:, :-1]
    return alpha * ahead
