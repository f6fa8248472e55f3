"""VolSDF and UNISURF against plain float64 loops, and all opacity models on one scene."""

import math

import pytest
import torch
import torch.nn.functional as F

from ponderv2.rendering import (
    ErrorBoundedSampler,
    HierarchicalSampler,
    NeuSOpacity,
    RootFindingSampler,
    UniSurfOpacity,
    VolSDFOpacity,
    VolumeRenderer,
)
from tests.factories.analytic_field import GRID, AnalyticField, empty_volume


def _case(rays=3, samples=6):
    generator = torch.Generator().manual_seed(1)
    sdf = torch.randn(rays, samples, generator=generator, dtype=torch.float64) * 0.2
    normal = torch.randn(rays, samples, 3, generator=generator, dtype=torch.float64)
    directions = F.normalize(torch.randn(rays, 3, generator=generator, dtype=torch.float64), dim=-1)
    delta = torch.rand(rays, samples, generator=generator, dtype=torch.float64) * 0.1
    return sdf, normal, directions, delta


def _volsdf_alpha(s, delta, beta):
    psi = 0.5 * math.exp(-s / beta) if s > 0 else 1 - 0.5 * math.exp(s / beta)
    return 1 - math.exp(-psi / beta * delta)


def _unisurf_alpha(s, k):
    return 1 / (1 + math.exp(k * s))


def test_volsdf_equals_a_plain_loop():
    model = VolSDFOpacity(0.07).double()
    sdf, normal, directions, delta = _case()
    alpha = -torch.expm1(model(sdf, normal, directions, delta))
    beta = 0.07 + 1e-4
    for i in range(sdf.shape[0]):
        for j in range(sdf.shape[1]):
            expected = _volsdf_alpha(sdf[i, j].item(), delta[i, j].item(), beta)
            assert alpha[i, j].item() == pytest.approx(expected, rel=1e-6)


def test_unisurf_equals_a_plain_loop():
    model = UniSurfOpacity(0.2).double()
    sdf, normal, directions, delta = _case()
    alpha = -torch.expm1(model(sdf, normal, directions, delta))
    k = math.exp(10 * float(torch.tensor(0.2)))
    for i in range(sdf.shape[0]):
        for j in range(sdf.shape[1]):
            assert alpha[i, j].item() == pytest.approx(_unisurf_alpha(sdf[i, j].item(), k), rel=1e-6)


@pytest.mark.parametrize(
    "model", [NeuSOpacity(0.2), VolSDFOpacity(0.05), UniSurfOpacity(0.2)], ids=lambda m: type(m).__name__
)
def test_gradients_and_occupancy_that_sums_to_one(model):
    model = model.double()
    sdf, normal, directions, delta = _case()
    assert torch.autograd.gradcheck(
        lambda s, n, p: torch.func.functional_call(
            model, {next(iter(dict(model.named_parameters()))): p}, (s, n, directions, delta)
        ),
        (sdf.requires_grad_(), normal.requires_grad_(), next(model.parameters())),
    )
    log_occupied, log_free = model.log_occupancy(sdf)
    torch.testing.assert_close(log_occupied.exp() + log_free.exp(), torch.ones_like(sdf))
    assert (log_occupied.exp() > 0.5).equal(sdf < 0)
    assert torch.isfinite(torch.stack(model.log_occupancy(torch.tensor([-50.0, 50.0], dtype=torch.float64)))).all()


@pytest.mark.parametrize(
    ("opacity", "sampler"),
    [
        (NeuSOpacity(0.65), HierarchicalSampler(72, 24)),
        (VolSDFOpacity(0.001), HierarchicalSampler(72, 72, num_steps=3)),
        (VolSDFOpacity(0.001), ErrorBoundedSampler()),
        (UniSurfOpacity(0.65), HierarchicalSampler(72, 72, num_steps=3)),
        (UniSurfOpacity(0.65), RootFindingSampler()),
    ],
    ids=lambda x: type(x).__name__,
)
def test_all_opacity_models_render_a_sphere_alike(opacity, sampler):
    center, radius = torch.tensor([1.0, 2.0, -1.0]), 8.0
    directions = F.normalize(torch.randn(64, 3, generator=torch.Generator().manual_seed(2)), dim=-1)
    origins = center - 2.0 * directions.flip(-1)
    field = AnalyticField(lambda p: radius - (p - center).norm(dim=-1))
    out = VolumeRenderer(field, opacity, sampler).eval()(empty_volume(), origins[None], directions[None])
    b = ((origins - center) * directions).sum(dim=-1)
    exact = -b + (b.square() - (origins - center).square().sum(dim=-1) + radius**2).sqrt()
    assert (out.depth[0] - exact).abs().max() < 32.0 / 72 / 2
    assert (out.opacity > 0.98).all()
    surface = (origins + exact[:, None] * directions) * GRID.scene_scale
    assert (out.rgb[0] - (surface + 1) / 2).abs().max() < 0.03
