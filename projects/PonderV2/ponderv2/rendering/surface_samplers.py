"""Samplers that search for the surface: VolSDF's with bounded error, UNISURF's with root finding.

All shapes are fixed: rays that are done early go through the remaining rounds, which does them no harm.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ponderv2.shapes import Float

from .compositing import exclusive_sum, transmittance_weights
from .opacity import laplace_density
from .samplers import RaySamples, SDFAlongRays, UniformSampler, sample_from_weights


@dataclass(frozen=True)
class ErrorBoundedSampler:
    """Places samples such that the opacity along the ray is known to within an error (VolSDF, Algorithm 1).

    Each round finds, for every ray, the smallest β whose opacity error is bounded by `epsilon`, and puts more
    positions where the bound is large; the final samples follow the rendering weights at that β, a few more
    are spread evenly. It needs an opacity model with a `beta` (`VolSDFOpacity`).

    Attributes:
        num_final: number of final samples that follow the weights; VolSDF 64.
        num_extra: number of final samples that are spread evenly; VolSDF 32.
        num_evaluated: number of positions at the start, and of those that each round adds; VolSDF 128.
        epsilon: bound of the opacity error; VolSDF 0.1.
        num_rounds: number of rounds; VolSDF has at most 5.
        num_bisections: number of steps of the search for β; VolSDF 10.
        single_jitter: True for one random shift for a whole ray, see `UniformSampler`.
    """

    num_final: int = 64
    num_extra: int = 32
    num_evaluated: int = 128
    epsilon: float = 0.1
    num_rounds: int = 5
    num_bisections: int = 10
    single_jitter: bool = True

    @property
    def num_samples(self) -> int:
        """The number of samples on a ray."""
        return self.num_final + self.num_extra

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
        """Place samples from near to far, given the signed distance along the rays.

        Raises:
            TypeError: when the opacity model has no `beta`.
        """
        if not hasattr(opacity, "beta"):
            raise TypeError(
                f"ErrorBoundedSampler: expected an opacity model with a beta, as VolSDFOpacity has it, got {opacity!r}"
            )
        beta = opacity.beta.detach().expand_as(near)[..., None]
        t = UniformSampler(self.num_evaluated, self.single_jitter)(near, far, None, stratified, generator).t
        values = sdf(t)
        # With this β the bound holds for the even positions, whatever the field (VolSDF, Lemma 2).
        length = (far - near)[..., None]
        safe = (length.square() / (4 * (self.num_evaluated - 1) * math.log1p(self.epsilon))).sqrt()
        for last in [False] * (self.num_rounds - 1) + [True]:
            safe = self._smallest_beta(t, values, beta, safe)
            if last:
                break
            new = sample_from_weights(
                t, opacity_error_bound(t, values, safe), self.num_evaluated, stratified, generator
            )
            t, order = torch.cat([t, new], dim=-1).sort(dim=-1)
            values = torch.cat([values, sdf(new)], dim=-1).gather(-1, order)
        weights = transmittance_weights(-laplace_density(values[..., :-1], safe) * (t[..., 1:] - t[..., :-1]))
        chosen = sample_from_weights(t, weights, self.num_final, stratified, generator)
        spread = UniformSampler(self.num_extra, self.single_jitter)(near, far, None, stratified, generator).t
        return RaySamples.from_positions(torch.cat([chosen, spread], dim=-1).sort(dim=-1).values, far)

    def _smallest_beta(
        self,
        t: Float[Tensor, "*r s"],
        values: Float[Tensor, "*r s"],
        low: Float[Tensor, "*r 1"],
        high: Float[Tensor, "*r 1"],
    ) -> Float[Tensor, "*r 1"]:
        """Return the model's β (`low`) where its bound holds already, else the smallest that bisection finds."""
        done = self._holds(t, values, low)
        model, high = low, torch.maximum(low, high)
        for _ in range(self.num_bisections):
            middle = (low + high) / 2
            holds = self._holds(t, values, middle)
            low, high = torch.where(holds, low, middle), torch.where(holds, middle, high)
        return torch.where(done, model, high)

    def _holds(self, t: Tensor, values: Tensor, beta: Tensor) -> Tensor:
        return opacity_error_bound(t, values, beta).amax(dim=-1, keepdim=True) <= self.epsilon


def opacity_error_bound(
    t: Float[Tensor, "*r s"], sdf: Float[Tensor, "*r s"], beta: Float[Tensor, "*r 1"]
) -> Float[Tensor, "*r s-1"]:
    """Compute the bound of the opacity error at the end of each section (VolSDF, Eq. 12–14)."""
    delta = t[..., 1:] - t[..., :-1]
    start, end = sdf[..., :-1].abs(), sdf[..., 1:].abs()
    # How near the surface can come to the section: the height of the triangle of its length and both distances.
    half = (delta + start + end) / 2
    area = (half * (half - delta) * (half - start) * (half - end)).clamp(min=0.0).sqrt()
    nearest = 2 * area / delta.clamp(min=1e-12)
    nearest = torch.where(start + end > delta, nearest, 0.0)
    nearest = torch.where(delta.square() + end.square() <= start.square(), end, nearest)
    nearest = torch.where(delta.square() + start.square() <= end.square(), start, nearest)
    nearest = torch.where(sdf[..., :-1] * sdf[..., 1:] > 0, nearest, 0.0)
    error = torch.cumsum(torch.exp(-nearest / beta) * (delta / (2 * beta)).square(), dim=-1)
    before = exclusive_sum(laplace_density(sdf[..., :-1], beta) * delta)
    return torch.expm1(error.clamp(max=math.log(1e6))) * torch.exp(-before)


@dataclass(frozen=True)
class RootFindingSampler:
    """Places samples around the first surface, which is found by marching (UNISURF §3.2).

    The first change of sign from free to occupied, refined linearly, is the root; even samples fill an
    interval about it, or the whole ray where there is none. More samples follow the weights that the marched
    occupancy gives along the whole ray, so that a wrong root is not the end of it. No published configuration
    gives the numbers.

    Attributes:
        num_march: number of positions at which the march evaluates the field.
        num_interval: number of even samples about the root.
        num_important: number of samples that follow the weights.
        interval: half the length of the interval, as a share of the way from near to far.
        sharpness: sharpness k of the marched occupancy σ(-k·s), published 10.
        single_jitter: True for one random shift for a whole ray, see `UniformSampler`.
    """

    num_march: int = 72
    num_interval: int = 64
    num_important: int = 32
    interval: float = 0.05
    sharpness: float = 10.0
    single_jitter: bool = True

    @property
    def num_samples(self) -> int:
        """The number of samples on a ray."""
        return self.num_interval + self.num_important

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
        marched = UniformSampler(self.num_march, self.single_jitter)(near, far, None, stratified, generator).t
        values = sdf(marched)
        root, found = first_root(marched, values)
        half = self.interval * (far - near)
        low = torch.where(found, torch.maximum(near, root - half), near)
        high = torch.where(found, torch.minimum(far, root + half), far)
        around = UniformSampler(self.num_interval, self.single_jitter)(low, high, None, stratified, generator).t
        weights = transmittance_weights(nn.functional.logsigmoid(self.sharpness * values[..., :-1]))
        important = sample_from_weights(marched, weights, self.num_important, stratified, generator)
        return RaySamples.from_positions(torch.cat([around, important], dim=-1).sort(dim=-1).values, far)


def first_root(t: Float[Tensor, "*r s"], sdf: Float[Tensor, "*r s"]) -> tuple[Tensor, Tensor]:
    """Find where the signed distance first turns from positive to negative; it is linear between samples.

    Returns:
        The positions `[*r]`, meaningless on rays without a root, and a mask `[*r]` of the rays that have one.
    """
    enters = (sdf[..., :-1] > 0) & (sdf[..., 1:] <= 0)
    found = enters.any(dim=-1)
    first = enters.to(torch.uint8).argmax(dim=-1, keepdim=True)
    t0, t1 = t.gather(-1, first), t.gather(-1, first + 1)
    s0, s1 = sdf.gather(-1, first), sdf.gather(-1, first + 1)
    drop = torch.where(found[..., None], s0 - s1, 1.0)
    return (t0 + (t1 - t0) * s0 / drop)[..., 0], found
