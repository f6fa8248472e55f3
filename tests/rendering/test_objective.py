"""The losses of geometry and occupancy against plain loops, and the presets."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from ponderv2.rendering import (
    PRESETS,
    NeuSOpacity,
    RenderingObjective,
    RenderOutput,
    eikonal_loss,
    free_space_loss,
    occupancy_loss,
    sdf_loss,
    surface_loss,
)
from ponderv2.structures import RayBatch

TRUNCATION = 0.1


@pytest.fixture
def rays():
    """Two samples of three rays with five samples each; some do not count."""
    generator = torch.Generator().manual_seed(0)
    t = torch.rand(2, 3, 5, generator=generator, dtype=torch.float64).sort(dim=-1).values
    sdf = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64) * 0.2
    depth = 0.3 + 0.6 * torch.rand(2, 3, generator=generator, dtype=torch.float64)
    mask = torch.tensor([[True, False, True], [True, True, True]])
    return t, sdf, depth, mask


def _mean_of_means(rays, value):
    """`value(t, s, D)` or None for what does not count: mean within a sample, then over samples."""
    t, sdf, depth, mask = rays
    means = []
    for b in range(len(t)):
        values = []
        for r in range(t.shape[1]):
            if mask[b, r]:
                found = [
                    value(x, s, depth[b, r].item()) for x, s in zip(t[b, r].tolist(), sdf[b, r].tolist(), strict=True)
                ]
                values += [v for v in found if v is not None]
        means.append(sum(values) / max(len(values), 1))
    return sum(means) / len(means)


def test_free_space_loss_equals_a_loop(rays):
    t, sdf, depth, mask = rays
    expected = _mean_of_means(rays, lambda x, s, d: max(TRUNCATION - s, 0.0) if x < d - TRUNCATION else None)
    assert free_space_loss(sdf, t, depth, mask, TRUNCATION).item() == pytest.approx(expected)


def test_sdf_loss_equals_a_loop(rays):
    t, sdf, depth, mask = rays
    expected = _mean_of_means(rays, lambda x, s, d: abs(x + s - d) if abs(d - x) <= TRUNCATION else None)
    assert sdf_loss(sdf, t, depth, mask, TRUNCATION).item() == pytest.approx(expected)


def test_occupancy_loss_equals_a_loop(rays):
    t, sdf, depth, mask = rays
    at_return = sdf[..., 0]
    model = NeuSOpacity(0.2).double()
    k = model.sharpness.item()
    free = _mean_of_means(rays, lambda x, s, d: math.log(1 + math.exp(-k * s)) if x < d - TRUNCATION else None)
    occupied = []
    for b in range(2):
        values = [math.log(1 + math.exp(k * at_return[b, r].item())) for r in range(3) if mask[b, r]]
        occupied.append(sum(values) / len(values))
    log_free = model.log_occupancy(sdf)[1]
    loss = occupancy_loss(log_free, model.log_occupancy(at_return)[0], t, depth, mask, TRUNCATION)
    assert loss.item() == pytest.approx((free + sum(occupied) / 2) / 2)


def test_eikonal_and_surface_losses_equal_loops(rays):
    _, sdf, _, mask = rays
    normal = torch.randn(2, 3, 5, 3, dtype=torch.float64)
    means = []
    for b in range(2):
        values = [(normal[b, r, s].norm().item() - 1) ** 2 for r in range(3) if mask[b, r] for s in range(5)]
        means.append(sum(values) / len(values))
    assert eikonal_loss(normal, mask).item() == pytest.approx(sum(means) / 2)
    means = [sdf[b, :, 0].abs()[mask[b]].mean().item() for b in range(2)]
    assert surface_loss(sdf[..., 0], mask).item() == pytest.approx(sum(means) / 2)


def test_gradients_of_the_losses(rays):
    t, sdf, depth, mask = rays
    sdf.requires_grad_()
    normal = torch.randn(2, 3, 5, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda s: free_space_loss(s, t, depth, mask, TRUNCATION), (sdf,))
    assert gradcheck(lambda s: sdf_loss(s, t, depth, mask, TRUNCATION), (sdf,))
    assert gradcheck(lambda s: surface_loss(s[..., 0], mask), (sdf,))
    assert gradcheck(lambda n: eikonal_loss(n, mask), (normal,))


def test_a_field_that_measures_distance_along_its_rays_costs_nothing(rays):
    t, _, depth, mask = rays
    sdf = depth[..., None] - t
    assert sdf_loss(sdf, t, depth, mask, TRUNCATION) == 0
    assert free_space_loss(sdf, t, depth, mask, TRUNCATION) == 0


def test_presets_have_the_published_weights():
    assert PRESETS["reference"] == RenderingObjective(color=10.0, depth=10.0)
    geometry = PRESETS["geometry"]
    assert (geometry.color, geometry.depth, geometry.sdf) == (10.0, 1.0, 10.0)
    assert (geometry.free_space, geometry.eikonal) == (1.0, 0.01)
    assert PRESETS["occupancy"].occupancy > 0


def test_a_preset_can_be_changed_and_mistakes_are_named():
    assert RenderingObjective.preset("geometry", color=0.0).color == 0.0
    with pytest.raises(ValueError, match="truncation"):
        RenderingObjective(truncation=0.0)


def _output(rays, samples=4):
    shape = rays.valid.shape
    return RenderOutput(
        rgb=torch.rand(*shape, 3),
        depth=torch.rand(shape),
        opacity=torch.ones(shape),
        depth_to_far=torch.rand(shape),
        hit=torch.ones(shape, dtype=torch.bool),
        weights=torch.rand(*shape, samples),
        sdf=torch.rand(*shape, samples),
        normal=torch.rand(*shape, samples, 3),
        t=torch.linspace(1.0, 6.0, samples).expand(*shape, samples),
    )


def _ray_batch(count=6):
    every = torch.ones(2, count, dtype=torch.bool)
    origins, directions = torch.zeros(2, count, 3), torch.eye(3)[:1].expand(2, count, 3)
    depth = torch.full((2, count), 5.0)
    return RayBatch(origins, directions, every, depth, torch.zeros(2, count, 2), torch.rand(2, count, 3))


def test_the_objective_says_which_tensors_its_losses_need():
    needs = {name: (o.needs_sdf_at_return, o.needs_occupancy) for name, o in PRESETS.items()}
    assert needs == {"reference": (False, False), "geometry": (False, False), "occupancy": (True, True)}
    surface = RenderingObjective(surface=1.0)
    assert (surface.needs_sdf_at_return, surface.needs_occupancy) == (True, False)


def test_losses_are_the_weighted_functions_of_the_tensors_that_are_passed():
    rays = _ray_batch()
    out, at_return = _output(rays), torch.randn(2, 6)
    log_free, log_occupied = torch.randn(2, 6, 4), torch.randn(2, 6)
    losses = RenderingObjective(surface=2.0, occupancy=3.0)(out, rays, 0.1, at_return, log_free, log_occupied)
    assert list(losses) == ["loss_color", "loss_depth", "loss_surface", "loss_occupancy"]
    torch.testing.assert_close(losses["loss_surface"], 2 * at_return.abs().mean())
    expected = occupancy_loss(log_free, log_occupied, out.t * 0.1, rays.depth * 0.1, rays.valid, 0.1)
    torch.testing.assert_close(losses["loss_occupancy"], 3 * expected)


@pytest.mark.parametrize(
    ("objective", "missing"),
    [
        (RenderingObjective(surface=1.0), "surface > 0: expected sdf_at_return"),
        (RenderingObjective(occupancy=1.0), "occupancy > 0: expected log_free and log_occupied_at_return"),
        (RenderingObjective(intensity=1.0), "intensity > 0 but the rays have no intensities"),
    ],
)
def test_a_missing_tensor_is_named(objective, missing):
    rays = _ray_batch()
    with pytest.raises(ValueError, match=missing):
        objective(_output(rays), rays, 0.1)
