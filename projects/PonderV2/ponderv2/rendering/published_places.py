"""The places of samples in the published code of UniPAD, whose converted weights were trained with them.

A sample stands at the start of its section, not in its middle. Random shifts in training go half a section to either
side of these starts. New samples come from one section more than is asked for, without its end. Places along a ray
are fractions of its way from near to far; S sections have S + 1 edges.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Float

from .compositing import transmittance_weights
from .opacity import neus_log_transparency

_EPS = 1e-5


def published_edges(
    like: Float[Tensor, "*r"], count: int, single_jitter: bool, stratified: bool, generator: torch.Generator | None
) -> Float[Tensor, "*r e"]:
    """Cut rays into `count` sections: equal ones, or shifted at random if `stratified`; return their edges.

    Args:
        like: anything with one number a ray.
        count: number of sections.
        single_jitter: True for one random shift for a whole ray, False for one for each edge.
        stratified: whether there are random shifts.
        generator: source of the shifts; None is torch's default one.
    """
    edges = torch.arange(count + 1, device=like.device, dtype=like.dtype) / count
    if not stratified:
        return edges.expand(*like.shape, -1)
    middles = (edges[1:] + edges[:-1]) / 2
    first, last = torch.cat([edges[:1], middles]), torch.cat([middles, edges[-1:]])
    return first + (last - first) * _random(like, 1 if single_jitter else count + 1, generator)


def published_new_edges(
    edges: Float[Tensor, "*r e"],
    sdf: Float[Tensor, "*r s"],
    length: Float[Tensor, "*r"],
    sharpness: float,
    count: int,
    single_jitter: bool,
    stratified: bool,
    generator: torch.Generator | None,
) -> Float[Tensor, "*r n"]:
    """Place the edges of `count` further sections where signed distances show a surface.

    Args:
        edges: edges of the sections, whose starts are the samples so far.
        sdf: signed distance at each start, scene units.
        length: way from near to far, scene units.
        sharpness: sharpness of the opacity that turns signed distances into a density, per scene unit.
        count: number of sections that are asked for.
        single_jitter: as in `published_edges`.
        stratified: as in `published_edges`.
        generator: as in `published_edges`.
    """
    # The section behind the last sample has no signed distance at its end, and no weight.
    weights = F.pad(_weights(sdf, edges.diff(dim=-1)[..., :-1] * length[..., None], sharpness), (0, 1))
    total = weights.sum(dim=-1, keepdim=True)
    missing = (_EPS - total).clamp(min=0.0)
    cdf = torch.cumsum((weights + missing / weights.shape[-1]) / (total + missing), dim=-1).clamp(max=1.0)
    cdf = F.pad(cdf, (1, 0))
    places = count + 1
    steps = torch.arange(places, device=edges.device, dtype=edges.dtype).expand(*length.shape, -1)
    shift = _random(length, 1 if single_jitter else places, generator) if stratified else 0.5
    quantiles = (steps + shift) / places
    upper = torch.searchsorted(cdf, quantiles, right=True)
    lower, upper = ((upper + step).clamp(0, edges.shape[-1] - 1) for step in (-1, 0))
    start, end = edges.gather(-1, lower), edges.gather(-1, upper)
    below, above = cdf.gather(-1, lower), cdf.gather(-1, upper)
    share = above - below
    share = torch.where(share < _EPS, 1.0, share)
    return start + ((quantiles - below) / share).clamp(0.0, 1.0) * (end - start)


def published_merged(
    edges: Float[Tensor, "*r e"], new_edges: Float[Tensor, "*r n"]
) -> tuple[Float[Tensor, "*r m"], Tensor]:
    """Sort the starts of two sets of sections into one; the farther of their ends is the end of all.

    Returns:
        The edges, and the order of the starts: start i is start `order[i]` of the one set followed by the other.
    """
    starts, order = torch.cat([edges[..., :-1], new_edges[..., :-1]], dim=-1).sort(dim=-1)
    return torch.cat([starts, torch.maximum(edges[..., -1:], new_edges[..., -1:])], dim=-1), order


def _weights(sdf: Float[Tensor, "*r s"], delta: Float[Tensor, "*r d"], sharpness: float) -> Float[Tensor, "*r d"]:
    """Compute rendering weights of the sections between samples, with the epsilons that count in empty space."""
    slope = sdf.diff(dim=-1) / (delta + _EPS)
    before = F.pad(slope[..., :-1], (1, 0))
    slope = torch.minimum(before, slope).clamp(-1e3, 0.0)
    middle = (sdf[..., 1:] + sdf[..., :-1]) / 2
    return transmittance_weights(neus_log_transparency(middle, slope, delta, sharpness, _EPS))


def _random(like: Float[Tensor, "*r"], count: int, generator: torch.Generator | None) -> Float[Tensor, "*r n"]:
    return torch.rand((*like.shape, count), device=like.device, dtype=like.dtype, generator=generator)
