"""Where along a ray the field is asked. All shapes are fixed; nothing here carries gradients."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ponderv2.shapes import Float

from .compositing import transmittance_weights
from .opacity import neus_log_transparency


@dataclass(frozen=True)
class RaySamples:
    """Positions along rays, ascending, in the unit of the near and far they were made from.

    Attributes:
        t: distance from the origin.
        delta: length of the section that a sample stands for: up to the next sample, for the last one up to
            the far end.
    """

    t: Float[Tensor, "*r s"]
    delta: Float[Tensor, "*r s"]

    @staticmethod
    def from_positions(t: Float[Tensor, "*r s"], far: Float[Tensor, "*r"]) -> "RaySamples":
        """Sections between neighbours."""
        ends = torch.cat([t[..., 1:], far[..., None].clamp(min=t[..., -1:])], dim=-1)
        return RaySamples(t, ends - t)


SDFAlongRays = Callable[[Float[Tensor, "*r s"]], Float[Tensor, "*r s"]]
"""Signed distances at distances along the rays, both in scene units."""


@dataclass(frozen=True)
class UniformSampler:
    """Equal sections, each sample at a random place of its own when `stratified`.

    Attributes:
        num_samples: published 72 as proposals.
        single_jitter: one random shift a ray (published for cameras) rather than one a sample.
    """

    num_samples: int
    single_jitter: bool = True

    def __call__(
        self,
        near: Float[Tensor, "*r"],
        far: Float[Tensor, "*r"],
        sdf: SDFAlongRays | None = None,
        stratified: bool = False,
        generator: torch.Generator | None = None,
        opacity: nn.Module | None = None,
    ) -> RaySamples:
        """Samples from near to far; mid-section without `stratified`. `sdf` and `opacity` are not used."""
        unit = _unit_steps(near, self.num_samples, self.single_jitter, stratified, generator)
        return RaySamples.from_positions(self._spread(unit, near[..., None], far[..., None]), far)

    def _spread(self, unit: Tensor, near: Tensor, far: Tensor) -> Tensor:
        """Places in [0, 1) to distances."""
        return near + (far - near) * unit


class LinearDisparitySampler(UniformSampler):
    """Equal sections of 1 / distance: dense near the sensor, sparse far away. Needs near > 0.

    Attributes are those of `UniformSampler`.
    """

    def _spread(self, unit: Tensor, near: Tensor, far: Tensor) -> Tensor:
        return 1 / ((1 - unit) / near + unit / far)


def _unit_steps(
    like: Float[Tensor, "*r"], count: int, single_jitter: bool, stratified: bool, generator: torch.Generator | None
) -> Float[Tensor, "*r s"]:
    """`count` ascending numbers in [0, 1) a ray: the middles of equal sections, or random places in them."""
    shape = (*like.shape, 1 if single_jitter else count)
    if stratified:
        jitter = torch.rand(shape, device=like.device, dtype=like.dtype, generator=generator)
    else:
        jitter = like.new_full(shape, 0.5)
    return (torch.arange(count, device=like.device, dtype=like.dtype) + jitter) / count


@dataclass(frozen=True)
class HierarchicalSampler:
    """Uniform proposals, then more samples where they see a surface (NeuS §4.1; the published sampler).

    The signed distances of the proposals give opacities with a fixed sharpness; the resulting weights are
    the density from which further positions are drawn; both sets together, sorted, are the samples.

    Attributes:
        num_proposals: published 72.
        num_important: published 24 in one step.
        num_steps: upsampling steps; each adds `num_important / num_steps` and doubles the sharpness.
        sharpness: of the first step, per scene unit; published 64.
        single_jitter: as in `UniformSampler`.
    """

    num_proposals: int = 72
    num_important: int = 24
    num_steps: int = 1
    sharpness: float = 64.0
    single_jitter: bool = True

    def __post_init__(self) -> None:
        if self.num_important % self.num_steps:
            raise ValueError(
                f"num_important: expected a multiple of num_steps = {self.num_steps}, got {self.num_important}"
            )

    @property
    def num_samples(self) -> int:
        """Samples of a ray in the end."""
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
        """Samples from near to far, given the signed distance along the rays. `opacity` is not used."""
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


def _section_weights(t: Float[Tensor, "*r s"], sdf: Float[Tensor, "*r s"], sharpness: float) -> Float[Tensor, "*r s-1"]:
    """Rendering weights of the sections between neighbouring samples."""
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
    """`count` positions between the edges, distributed as the weights, linear within a section.

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
