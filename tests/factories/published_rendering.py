"""The published rendering decoder in evaluation, stated anew in plain torch (UniPAD's NeuS with 72 + 24 samples).

Weights are a flat dictionary with the published names; `prefix` ends with the module's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def published_features(volume: Tensor, points: Tensor, point_cloud_range: tuple[float, ...]) -> Tensor:
    """Read a volume `[C, Z, Y, X]` at points `[..., 3]` in metres, its cells spread from end to end of the range."""
    lower, upper = points.new_tensor(point_cloud_range[:3]), points.new_tensor(point_cloud_range[3:])
    unit = (points - lower) / (upper - lower) * 2 - 1
    values = F.grid_sample(volume[None], unit.reshape(1, 1, 1, -1, 3), align_corners=True, padding_mode="zeros")
    return values[0, :, 0, 0].T.reshape(*points.shape[:-1], -1)


def published_mlp(weights: dict[str, Tensor], prefix: str, points: Tensor, condition: Tensor, relu: bool) -> Tensor:
    """Run the perceptron of signed distance (softplus) or color (ReLU, without its sigmoid)."""
    depth = sum(name.startswith(f"{prefix}fc_c.") and name.endswith(".weight") for name in weights)

    def linear(name: str, x: Tensor) -> Tensor:
        return F.linear(x, weights[f"{prefix}{name}.weight"], weights[f"{prefix}{name}.bias"])

    x = linear("fc_p", points)
    for layer in range(depth):
        x = linear(f"lin{layer}", x + linear(f"fc_c.{layer}", condition))
        if layer < depth - 1:
            x = F.relu(x) if relu else F.softplus(x, beta=100)
    return x


def published_samples(near: Tensor, far: Tensor, sdf, proposals: int = 72, important: int = 24) -> Tensor:
    """Place samples on rays `[R]` in evaluation, given the signed distance along them; return edges `[R, 97]`."""
    edges = torch.linspace(0, 1, proposals + 1).expand(len(near), -1)
    length = (far - near)[:, None]
    values = sdf(near[:, None] + length * edges[:, :-1])
    # Opacity of the sections between neighbouring samples, with a sharpness of 64.
    delta = length * (edges[:, 1:-1] - edges[:, :-2])
    slope = (values[:, 1:] - values[:, :-1]) / (delta + 1e-5)
    slope = torch.minimum(slope, torch.cat([torch.zeros(len(near), 1), slope[:, :-1]], dim=1)).clip(-1e3, 0)
    middle = (values[:, 1:] + values[:, :-1]) / 2
    start = torch.sigmoid(64 * (middle - slope * delta / 2))
    end = torch.sigmoid(64 * (middle + slope * delta / 2))
    alpha = (start - end + 1e-5) / (start + 1e-5)
    light = torch.cat([torch.ones(len(near), 1), torch.cumprod(1 - alpha + 1e-7, dim=1)], dim=1)
    weights = torch.cat([alpha * light[:, :-1], torch.zeros(len(near), 1)], dim=1)
    # The density is integrated and inverted at the middles of 25 equal parts, the last of which is only an end.
    weights = weights + F.relu(1e-5 - weights.sum(dim=1, keepdim=True)) / weights.shape[1]
    cdf = F.pad((weights / weights.sum(dim=1, keepdim=True)).cumsum(dim=1).clip(max=1), (1, 0))
    parts = important + 1
    new = torch.empty(len(near), parts)
    for ray in range(len(near)):
        for k in range(parts):
            quantile = (k + 0.5) / parts
            section = int((cdf[ray] <= quantile).sum()) - 1
            step = cdf[ray, section + 1] - cdf[ray, section]
            share = (quantile - cdf[ray, section]) / (step if step >= 1e-5 else 1.0)
            new[ray, k] = torch.lerp(edges[ray, section], edges[ray, section + 1], share.clip(0, 1))
    starts = torch.cat([edges[:, :-1], new[:, :-1]], dim=1).sort(dim=1).values
    ends = torch.maximum(edges[:, -1:], new[:, -1:])
    return near[:, None] + length * torch.cat([starts, ends], dim=1)


def published_render(
    weights: dict[str, Tensor],
    volume: Tensor,
    origins: Tensor,
    directions: Tensor,
    point_cloud_range: tuple[float, ...],
    prefix: str = "pts_bbox_head.render_model.field.",
) -> dict[str, Tensor]:
    """Render rays `[R, 3]` (metres) of one sample through its projected volume `[C, Z, Y, X]`.

    Returns:
        `depth` `[R]` in metres, `rgb` `[R, 3]`, `opacity` `[R]`, and `edges` of the sections, `[R, 97]`, metres.
    """
    scale = 1 / max(abs(v) for v in point_cloud_range)
    near, far = ends_in_box(origins * scale, directions, torch.tensor(point_cloud_range) * scale, scale)

    def along(t: Tensor) -> Tensor:
        return origins[:, None] * scale + directions[:, None] * t[..., None]

    def geometry(points: Tensor) -> tuple[Tensor, Tensor]:
        features = published_features(volume, points / scale, point_cloud_range)
        return published_mlp(weights, f"{prefix}sdf_decoder.", points, features, relu=False), features

    with torch.no_grad():
        edges = published_samples(near, far, lambda t: geometry(along(t))[0][..., 0])
    points = along(edges[:, :-1]).requires_grad_()
    with torch.enable_grad():
        output, features = geometry(points)
        (normal,) = torch.autograd.grad(output[..., 0].sum(), points)
    views = directions[:, None].expand_as(points)
    condition = torch.cat([views, features, normal, output[..., 1:]], dim=-1)
    rgb = published_mlp(weights, f"{prefix}rgb_decoder.", points, condition, relu=True).sigmoid()
    sharpness = torch.exp(10 * weights[f"{prefix}deviation_network.variance"]).clip(1e-6, 1e6)
    slope = -F.relu(-(views * normal).sum(dim=-1))
    half = slope * edges.diff(dim=1) / 2
    start, end = (torch.sigmoid(sharpness * (output[..., 0] + side * half)) for side in (-1, 1))
    alpha = ((start - end + 1e-5) / (start + 1e-5)).clip(0, 1)
    light = torch.cumprod(F.pad(1 - alpha + 1e-7, (1, 0), value=1.0), dim=1)[:, :-1]
    shares = alpha * light
    total, t = shares.sum(dim=1), edges[:, :-1]
    depth = ((shares * t).sum(dim=1) / (total + 1e-10)).clip(t.min(), t.max())
    color = (shares[..., None] * rgb).sum(dim=1)
    values = {"depth": depth / scale, "rgb": color, "opacity": total, "edges": edges / scale}
    return {name: value.detach() for name, value in values.items()}


def ends_in_box(origins: Tensor, directions: Tensor, box: Tensor, near: float) -> tuple[Tensor, Tensor]:
    """Clip rays to a box (scene units) and to a nearest distance."""
    inverse = 1 / (directions + 1e-6)
    first, second = (box[:3] - origins) * inverse, (box[3:] - origins) * inverse
    return torch.minimum(first, second).amax(dim=1).clip(min=near), torch.maximum(first, second).amin(dim=1)
