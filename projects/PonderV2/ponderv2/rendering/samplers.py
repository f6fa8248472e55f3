"""Samplers: they choose the positions along a ray at which the field is evaluated.

All shapes are fixed, and nothing here carries gradients.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ponderv2.shapes import Float
from ponderv2.structures import PLACEMENTS

from .compositing import transmittance_weights
from .opacity import neus_log_transparency
from .published_places import published_edges, published_merged, published_new_edges


@dataclass(frozen=True)
class RaySamples:
    """Ascending positions along rays, in the unit of the near and far ends from which they were made.

    Attributes:
        t: distance of each sample from the origin of its ray.
        delta: length of the section for which a sample stands: up to the next sample, for the last one up to
            the far end.
    """

    t: Float[Tensor, "*r s"]
    delta: Float[Tensor, "*r s"]

    @staticmethod
    def from_positions(t: Float[Tensor, "*r s"], far: Float[Tensor, "*r"]) -> "RaySamples":
        """Make samples whose sections reach from each position to the next."""
        ends = torch.cat([t[..., 1:], far[..., None].clamp(min=t[..., -1:])], dim=-1)
        return RaySamples(t, ends - t)


SDFAlongRays = Callable[[Float[Tensor, "*r s"]], Float[Tensor, "*r s"]]
"""A function from distances along the rays to the signed distances there, both in scene units."""


@dataclass(frozen=True)
class UniformSampler:
    """Cuts rays into equal sections and puts a sample into each: in its middle, or at a random place if `stratified`.

    Attributes:
        num_samples: number of samples on a ray; published 72 as proposals.
        single_jitter: True for one random shift for a whole ray (published for cameras), False for one for each sample.
        placement: "centered", or "published" for samples at the starts of sections, see `published_places`.

    Raises:
        ValueError: when `placement` is something else.
    """

    num_samples: int
    single_jitter: bool = True
    placement: str = "centered"

    def __post_init__(self) -> None:
        _check_placement(self.placement)

    def __call__(
        self,
        near: Float[Tensor, "*r"],
        far: Float[Tensor, "*r"],
        sdf: SDFAlongRays | None = None,
        stratified: bool = False,
        generator: torch.Generator | None = None,
        opacity: nn.Module | None = None,
    ) -> RaySamples:
        """Place samples from near to far. `sdf` and `opacity` are not used."""
        if self.placement == "published":
            edges = published_edges(near, self.num_samples, self.single_jitter, stratified, generator)
            return _between(self._spread(edges, near[..., None], far[..., None]))
        unit = _unit_steps(near, self.num_samples, self.single_jitter, stratified, generator)
        return RaySamples.from_positions(self._spread(unit, near[..., None], far[..., None]), far)

    def _spread(self, unit: Tensor, near: Tensor, far: Tensor) -> Tensor:
        """Map places in [0, 1) to distances."""
        return near + (far - near) * unit


class LinearDisparitySampler(UniformSampler):
    """Cuts rays into equal sections of 1 / distance: dense near the sensor, sparse far away. It needs near > 0.

    The attributes are those of `UniformSampler`.
    """

    def _spread(self, unit: Tensor, near: Tensor, far: Tensor) -> Tensor:
        return 1 / ((1 - unit) / near + unit / far)


def _unit_steps(
    like: Float[Tensor, "*r"], count: int, single_jitter: bool, stratified: bool, generator: torch.Generator | None
) -> Float[Tensor, "*r s"]:
    """Make `count` ascending numbers in [0, 1) for each ray: middles of equal sections, or random places in them."""
    shape = (*like.shape, 1 if single_jitter else count)
    if stratified:
        jitter = torch.rand(shape, device=like.device, dtype=like.dtype, generator=generator)
    else:
        jitter = like.new_full(shape, 0.5)
    return (torch.arange(count, device=like.device, dtype=like.dtype) + jitter) / count


@dataclass(frozen=True)
class HierarchicalSampler:
    """Places uniform proposals, then more samples where these find a surface (NeuS §4.1; the published sampler).

    The signed distances of the proposals give opacities with a fixed sharpness; the resulting weights are
    the density from which further positions are drawn; both sets together, sorted, are the samples.

    Attributes:
        num_proposals: number of uniform proposals, published 72.
        num_important: number of samples that are drawn from the density, published 24 in one step.
        num_steps: number of upsampling steps; each adds `num_important / num_steps` and doubles the sharpness.
        sharpness: sharpness with which the first step turns signed distances into opacities, per scene unit; published
            64.
        single_jitter: True for one random shift for a whole ray, see `UniformSampler`.
        placement: "centered", or "published" for the places of converted weights, see `published_places`. The two give
            depths that differ by metres.

    Raises:
        ValueError: when `num_important` is not a multiple of `num_steps`, or `placement` is neither.
    """

    num_proposals: int = 72
    num_important: int = 24
    num_steps: int = 1
    sharpness: float = 64.0
    single_jitter: bool = True
    placement: str = "centered"

    def __post_init__(self) -> None:
        _check_placement(self.placement)
        if self.num_important % self.num_steps:
            raise ValueError(
                f"num_important: expected a multiple of num_steps = {self.num_steps}, got {self.num_important}"
            )

    @property
    def num_samples(self) -> int:
        """The number of samples on a ray."""
        return self.num_proposals + self.num_important

    @torch.no_grad()
    def __call__(
        self,
        near: Float[Tensor, "*r"],
        far: Float[Tensor, "*r"],
        sdf: SDFAlongRays,
        stratified: bool = False,
        generator: torch.Generator | None = None,
        opacity: nn.Module | None = None,
    ) -> RaySamples:
        """Place samples from near to far, given the signed distance along the rays. `opacity` is not used."""
        if self.placement == "published":
            return self._published(near, far, sdf, stratified, generator)
        uniform = UniformSampler(self.num_proposals, self.single_jitter)
        t = uniform(near, far, stratified=stratified, generator=generator).t
        values = sdf(t)
        count = self.num_important // self.num_steps
        for step in range(self.num_steps):
            weights = _section_weights(t, values, self.sharpness * 2**step)
            new = sample_from_weights(t, weights, count, stratified, generator)
            t, order = torch.cat([t, new], dim=-1).sort(dim=-1)
            if step + 1 < self.num_steps:
                values = torch.cat([values, sdf(new)], dim=-1).gather(-1, order)
        return RaySamples.from_positions(t, far)

    def _published(
        self,
        near: Float[Tensor, "*r"],
        far: Float[Tensor, "*r"],
        sdf: SDFAlongRays,
        stratified: bool,
        generator: torch.Generator | None,
    ) -> RaySamples:
        length = far - near

        def along(fractions: Tensor) -> Tensor:
            return near[..., None] + length[..., None] * fractions

        edges = published_edges(near, self.num_proposals, self.single_jitter, stratified, generator)
        values = sdf(along(edges[..., :-1]))
        for step in range(self.num_steps):
            new = published_new_edges(
                edges,
                values,
                length,
                self.sharpness * 2**step,
                self.num_important // self.num_steps,
                self.single_jitter,
                stratified,
                generator,
            )
            edges, order = published_merged(edges, new)
            if step + 1 < self.num_steps:
                values = torch.cat([values, sdf(along(new[..., :-1]))], dim=-1).gather(-1, order)
        return _between(along(edges))


def _between(edges: Float[Tensor, "*r e"]) -> RaySamples:
    """Make samples at the starts of sections, given the edges of these."""
    return RaySamples.from_positions(edges[..., :-1], edges[..., -1])


def _check_placement(placement: str) -> None:
    if placement not in PLACEMENTS:
        raise ValueError(f"placement: expected {' or '.join(map(repr, PLACEMENTS))}, got {placement!r}")


def _section_weights(t: Float[Tensor, "*r s"], sdf: Float[Tensor, "*r s"], sharpness: float) -> Float[Tensor, "*r s-1"]:
    """Compute the rendering weights of the sections between neighbouring samples."""
    delta = (t[..., 1:] - t[..., :-1]).clamp(min=1e-7)
    slope = (sdf[..., 1:] - sdf[..., :-1]) / delta
    # The steeper of this section and the one before: a surface between samples is not missed.
    before = torch.cat([torch.zeros_like(slope[..., :1]), slope[..., :-1]], dim=-1)
    slope = torch.minimum(before, slope).clamp(-1e3, 0.0)
    middle = (sdf[..., 1:] + sdf[..., :-1]) / 2
    return transmittance_weights(neus_log_transparency(middle, slope, delta, sharpness))


def sample_from_weights(
    edges: Float[Tensor, "*r s"],
    weights: Float[Tensor, "*r s-1"],
    count: int,
    stratified: bool = False,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "*r n"]:
    """Draw `count` positions between the edges, distributed as the weights and evenly within a section.

    Weights that sum to less than 1e-5 are filled up evenly, so that an empty ray is sampled uniformly.
    """
    missing = (1e-5 - weights.sum(dim=-1, keepdim=True)).clamp(min=0.0)
    weights = weights + missing / weights.shape[-1]
    cdf = torch.cumsum(weights / weights.sum(dim=-1, keepdim=True), dim=-1)
    cdf = torch.cat([torch.zeros_like(cdf[..., :1]), cdf.clamp(max=1.0)], dim=-1)
    shape = (*edges.shape[:-1], count)
    jitter = (
        torch.rand(shape, device=edges.device, dtype=edges.dtype, generator=generator)
        if stratified
        else edges.new_full(shape, 0.5)
    )
    quantiles = (torch.arange(count, device=edges.device, dtype=edges.dtype) + jitter) / count
    upper = torch.searchsorted(cdf, quantiles, right=True).clamp(1, edges.shape[-1] - 1)
    lower = upper - 1
    cdf_low, cdf_high = cdf.gather(-1, lower), cdf.gather(-1, upper)
    edge_low, edge_high = edges.gather(-1, lower), edges.gather(-1, upper)
    fraction = ((quantiles - cdf_low) / (cdf_high - cdf_low).clamp(min=1e-10)).clamp(0.0, 1.0)
    return edge_low + fraction * (edge_high - edge_low)
