"""Error-bounded and root-finding samplers against plain loops, and what they promise."""

import pytest
import torch

from ponderv2.rendering import (
    ErrorBoundedSampler,
    LinearDisparitySampler,
    NeuSOpacity,
    RootFindingSampler,
    VolSDFOpacity,
)
from ponderv2.rendering.surface_samplers import first_root, opacity_error_bound
from tests.factories.volsdf_loop import bound_by_loop


def _field(t):
    """A wall at 0.6, its signed distance seen at an angle."""
    return (0.6 - t) * 0.8


def test_error_bound_equals_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    t = torch.rand(4, 12, generator=generator, dtype=torch.float64).sort(dim=-1).values
    sdf = torch.randn(4, 12, generator=generator, dtype=torch.float64) * 0.2
    beta = torch.full((4, 1), 0.3, dtype=torch.float64)
    bound = opacity_error_bound(t, sdf, beta)
    for ray in range(4):
        expected = torch.tensor(bound_by_loop(t[ray].tolist(), sdf[ray].tolist(), 0.3), dtype=torch.float64)
        torch.testing.assert_close(bound[ray], expected)


def test_error_bounded_samples_gather_at_the_surface():
    sampler = ErrorBoundedSampler(num_final=32, num_extra=8, num_evaluated=32)
    near, far = torch.full((5,), 0.05), torch.full((5,), 1.5)
    samples = sampler(near, far, _field, opacity=VolSDFOpacity(0.01))
    assert samples.t.shape == (5, sampler.num_samples)
    assert (samples.t[:, 1:] >= samples.t[:, :-1]).all()
    assert ((samples.t - 0.6).abs() < 0.1).float().mean() > 0.6


def test_error_bounded_beta_keeps_its_promise():
    sampler = ErrorBoundedSampler(num_evaluated=64, num_rounds=5)
    t = torch.linspace(0.05, 1.5, 320, dtype=torch.float64)[None]
    low = torch.full((1, 1), 0.002, dtype=torch.float64)
    beta = sampler._smallest_beta(t, _field(t), low, torch.full((1, 1), 2.0, dtype=torch.float64))
    assert max(bound_by_loop(t[0].tolist(), _field(t)[0].tolist(), beta.item())) <= 0.1
    assert max(bound_by_loop(t[0].tolist(), _field(t)[0].tolist(), beta.item() / 1.1)) > 0.1


def test_error_bounded_needs_a_model_with_beta():
    with pytest.raises(TypeError, match="NeuSOpacity"):
        ErrorBoundedSampler()(torch.tensor([0.1]), torch.tensor([1.0]), _field, opacity=NeuSOpacity())


def test_first_root_equals_a_plain_loop():
    generator = torch.Generator().manual_seed(4)
    t = torch.rand(30, 9, generator=generator, dtype=torch.float64).sort(dim=-1).values
    sdf = torch.randn(30, 9, generator=generator, dtype=torch.float64) + 1.0
    root, found = first_root(t, sdf)
    for ray in range(30):
        expected = None
        for i in range(8):
            if sdf[ray, i] > 0 >= sdf[ray, i + 1]:
                share = sdf[ray, i] / (sdf[ray, i] - sdf[ray, i + 1])
                expected = (t[ray, i] + share * (t[ray, i + 1] - t[ray, i])).item()
                break
        assert found[ray].item() == (expected is not None)
        if expected is not None:
            assert root[ray].item() == pytest.approx(expected)


def test_root_finding_samples_surround_the_root_and_cover_empty_rays():
    sampler = RootFindingSampler(num_march=40, num_interval=20, num_important=8)
    near, far = torch.full((2,), 0.05), torch.full((2,), 1.5)

    def sdf(t):
        return torch.stack([_field(t[0]), torch.ones_like(t[1])])

    t = sampler(near, far, sdf).t
    assert t.shape == (2, sampler.num_samples)
    assert ((t[0] - 0.6).abs() < 0.08).sum() >= 20
    assert t[1].min() < 0.2
    assert t[1].max() > 1.3
    assert (t[:, 1:] >= t[:, :-1]).all()


def test_disparity_samples_are_even_in_one_over_distance():
    samples = LinearDisparitySampler(16)(torch.tensor([1.0, 2.0]), torch.tensor([60.0, 50.0]))
    disparity = 1 / samples.t
    steps = disparity[:, 1:] - disparity[:, :-1]
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps))
    assert (samples.t[:, 0] > torch.tensor([1.0, 2.0])).all()
    assert (samples.t[:, -1] < torch.tensor([60.0, 50.0])).all()


@pytest.mark.parametrize(
    "sampler",
    [LinearDisparitySampler(12), RootFindingSampler(24, 12, 4), ErrorBoundedSampler(12, 4, 16, num_rounds=2)],
    ids=lambda s: type(s).__name__,
)
def test_jittered_samples_stay_between_near_and_far_and_follow_the_generator(sampler):
    near, far = torch.full((50,), 0.05), torch.full((50,), 1.5)
    runs = [
        sampler(near, far, _field, True, torch.Generator().manual_seed(seed), VolSDFOpacity(0.05)).t
        for seed in (1, 1, 2)
    ]
    assert runs[0].equal(runs[1])
    assert not runs[0].equal(runs[2])
    assert runs[0].min() >= 0.05
    assert runs[0].max() <= 1.5
