"""Samplers: sorted, inside, exact without jitter, reproducible, and dense at surfaces."""

import pytest
import torch

from ponderv2.rendering import HierarchicalSampler, UniformSampler
from ponderv2.rendering.samplers import sample_from_weights


@pytest.fixture
def ends():
    near = torch.tensor([[0.1, 0.5, 0.2]], dtype=torch.float64)
    return near, near + torch.tensor([[1.0, 0.3, 2.0]], dtype=torch.float64)


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("single", [False, True])
def test_uniform_samples_stay_in_their_sections_and_cover_the_ray(ends, stratified, single):
    near, far = ends
    samples = UniformSampler(8, single)(near, far, stratified=stratified)
    edges = near[..., None] + (far - near)[..., None] * torch.arange(9, dtype=torch.float64) / 8
    assert (samples.t >= edges[..., :-1]).all()
    assert (samples.t <= edges[..., 1:]).all()
    torch.testing.assert_close(samples.t[..., 0] + samples.delta.sum(dim=-1), far)


def test_single_jitter_shifts_a_ray_as_a_whole(ends):
    near, far = ends
    steps = UniformSampler(8, single_jitter=True)(near, far, stratified=True).t.diff(dim=-1)
    torch.testing.assert_close(steps, steps[..., :1].expand_as(steps))


def test_samples_are_reproducible_under_a_generator(ends):
    near, far = ends

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        sampler = HierarchicalSampler(8, 4)
        return sampler(near, far, lambda t: 0.6 - t, stratified=True, generator=generator).t

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_pdf_sampling_inverts_the_cumulative_weights():
    edges = torch.tensor([0.0, 1.0, 3.0, 4.0], dtype=torch.float64)
    weights = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    # Quantiles 1/8, 3/8, 5/8, 7/8 by hand.
    expected = torch.tensor([0.5, 1.5, 2.5, 3.5], dtype=torch.float64)
    torch.testing.assert_close(sample_from_weights(edges, weights, 4), expected)


def test_a_ray_without_weight_is_sampled_evenly():
    edges = torch.linspace(0, 1, 9, dtype=torch.float64)
    new = sample_from_weights(edges, torch.zeros(8, dtype=torch.float64), 4)
    torch.testing.assert_close(new, torch.tensor([0.125, 0.375, 0.625, 0.875], dtype=torch.float64))


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_hierarchical_samples_gather_at_the_surface(steps):
    near, far = torch.zeros(1, 1), torch.ones(1, 1)
    surface = 0.6321
    sampler = HierarchicalSampler(32, 16, num_steps=steps)
    samples = sampler(near, far, lambda t: surface - t)
    assert samples.t.shape == (1, 1, 48)
    assert (samples.t.diff(dim=-1) >= 0).all()
    near_surface = ((samples.t - surface).abs() < 0.1).sum()
    uniform = ((UniformSampler(48)(near, far).t - surface).abs() < 0.1).sum()
    assert near_surface > 1.5 * uniform


def test_samples_of_later_steps_use_the_right_distances():
    # The distances of old samples are reused through a sort; asked anew they must be the same.
    seen = []

    def sdf(t):
        seen.append(t)
        return torch.sin(5 * t) + 0.3 - t

    sampler = HierarchicalSampler(16, 8, num_steps=2)
    t = sampler(torch.zeros(1, 2), torch.ones(1, 2), sdf).t
    every = torch.cat(seen, dim=-1)
    assert every.shape[-1] == 16 + 4
    torch.testing.assert_close(torch.cat([every, t], dim=-1).sort(dim=-1).values.unique().numel(), t.unique().numel())


def test_an_uneven_number_of_important_samples_is_an_error():
    with pytest.raises(ValueError, match="num_important"):
        HierarchicalSampler(8, 5, num_steps=2)
