"""The renderer on scenes with a known answer, and as one program."""

import os
import subprocess
import sys
import textwrap

import pytest
import torch
import torch.nn.functional as F

from ponderv2.rendering import (
    ErrorBoundedSampler,
    HierarchicalSampler,
    NeuSOpacity,
    RootFindingSampler,
    SDFField,
    UniformSampler,
    UniSurfOpacity,
    VolSDFOpacity,
    VolumeRenderer,
    color_loss,
    depth_loss,
)
from ponderv2.structures import FeatureVolume
from tests.factories.analytic_field import GRID, AnalyticField, empty_volume


def _sharp() -> NeuSOpacity:
    return NeuSOpacity(init=0.65)  # k = 665 per scene unit: a transition of 2 cm


def _render(field, sampler, origins, directions):
    renderer = VolumeRenderer(field, _sharp(), sampler).eval()
    return renderer(empty_volume(), origins[None], directions[None])


def _fan(n=64):
    generator = torch.Generator().manual_seed(2)
    directions = torch.randn(n, 3, generator=generator)
    return F.normalize(directions, dim=-1)


@pytest.mark.parametrize("sampler", [UniformSampler(128), HierarchicalSampler(72, 24)])
def test_a_plane_is_rendered_to_a_tenth_of_a_step(sampler):
    directions = F.normalize(_fan() * torch.tensor([1.0, 1.0, 0.3]) + torch.tensor([0.0, 4.0, 0.0]), dim=-1)
    origins = torch.tensor([[0.3, -7.0, 0.2]]).expand_as(directions)
    out = _render(AnalyticField(lambda p: 9.0 - p[..., 1]), sampler, origins, directions)
    exact = (9.0 + 7.0) / directions[:, 1]
    step = 32.0 / (128 if isinstance(sampler, UniformSampler) else 72)
    assert (out.depth[0] - exact).abs().max() < step / 10
    assert (out.opacity > 0.99).all()


@pytest.mark.parametrize("sampler", [UniformSampler(128), HierarchicalSampler(72, 24)])
def test_a_sphere_is_rendered_to_a_tenth_of_a_step(sampler):
    center, radius = torch.tensor([1.0, 2.0, -1.0]), 8.0
    directions = _fan()
    origins = center - 2.0 * directions.flip(-1)  # inside the sphere: it is seen from within
    out = _render(AnalyticField(lambda p: radius - (p - center).norm(dim=-1)), sampler, origins, directions)
    b = ((origins - center) * directions).sum(dim=-1)
    exact = -b + (b.square() - (origins - center).square().sum(dim=-1) + radius**2).sqrt()
    step = 32.0 / (128 if isinstance(sampler, UniformSampler) else 72)
    assert (out.depth[0] - exact).abs().max() < step / 10
    # The colour is the surface point.
    surface = (origins + exact[:, None] * directions) * GRID.scene_scale
    assert (out.rgb[0] - (surface + 1) / 2).abs().max() < 0.02


def test_weights_sum_to_at_most_one():
    volume = FeatureVolume(torch.randn(2, 32, *GRID.shape), GRID)
    renderer = VolumeRenderer(SDFField(), NeuSOpacity(), HierarchicalSampler(24, 8))
    origins, directions = torch.randn(2, 40, 3), F.normalize(torch.randn(2, 40, 3), dim=-1)
    out = renderer(volume, origins, directions)
    assert (out.weights >= 0).all()
    assert (out.weights.sum(dim=-1) <= 1 + 1e-5).all()


def test_empty_space_is_transparent_and_black():
    directions = _fan(8)
    out = _render(
        AnalyticField(lambda p: 5.0 + 0 * p[..., 0]),
        UniformSampler(32),
        torch.zeros_like(directions),
        directions,
    )
    assert out.opacity.max() < 1e-6
    assert out.rgb.max() < 1e-6


def _setup(batch):
    torch.manual_seed(3)
    volume = FeatureVolume(torch.randn(batch, 8, *GRID.shape), GRID)
    renderer = VolumeRenderer(SDFField(8, 8, 8, 3, 2), NeuSOpacity(), HierarchicalSampler(12, 4)).eval()
    origins, directions = torch.randn(batch, 10, 3), F.normalize(torch.randn(batch, 10, 3), dim=-1)
    return renderer, volume, origins, directions


def test_a_batch_of_two_is_two_batches_of_one():
    renderer, volume, origins, directions = _setup(2)
    both = renderer(volume, origins, directions)
    for b in range(2):
        one = renderer(volume.with_data(volume.data[b : b + 1]), origins[b : b + 1], directions[b : b + 1])
        torch.testing.assert_close(both.depth[b : b + 1], one.depth)
        torch.testing.assert_close(both.rgb[b : b + 1], one.rgb)


def test_float16_around_it_changes_nothing():
    renderer, volume, origins, directions = _setup(1)
    plain = renderer(volume, origins, directions)
    with torch.autocast("cpu", dtype=torch.float16):
        inside = renderer(volume, origins, directions)
    for name in ("depth", "rgb", "normal", "t"):
        assert torch.equal(getattr(plain, name), getattr(inside, name)), name


def test_bfloat16_around_it_leaves_distances_and_normals_in_float32_and_colours_near():
    renderer, volume, origins, directions = _setup(1)
    plain = renderer(volume, origins, directions)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = renderer(volume, origins, directions)
    for name in ("depth", "sdf", "normal", "weights", "t"):
        assert torch.equal(getattr(plain, name), getattr(inside, name)), name
    assert inside.rgb.dtype == torch.float32
    assert not torch.equal(plain.rgb, inside.rgb)
    torch.testing.assert_close(plain.rgb, inside.rgb, rtol=0, atol=0.01)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("opacity", "sampler"),
    [
        (NeuSOpacity, UniformSampler(12)),
        (NeuSOpacity, HierarchicalSampler(12, 8, num_steps=2)),
        (VolSDFOpacity, ErrorBoundedSampler(8, 4, 16, num_rounds=2)),
        (UniSurfOpacity, RootFindingSampler(16, 8, 8)),
    ],
    ids=["uniform", "hierarchical", "error-bounded", "root-finding"],
)
def test_a_volume_that_is_not_finite_gives_a_loss_that_is_not_a_number(opacity, sampler, bad):
    data = torch.randn(1, 8, *GRID.shape)
    data[0, 3] = bad
    data.requires_grad_()
    renderer = VolumeRenderer(SDFField(8, sdf_layers=3, color_layers=2), opacity(), sampler)
    directions = _fan(16)[None]
    out = renderer(FeatureVolume(data, GRID), torch.zeros_like(directions), directions)
    every = torch.ones(1, 16, dtype=torch.bool)
    loss = color_loss(out.rgb, torch.rand(1, 16, 3), every) + depth_loss(out.depth, torch.ones(1, 16), every, 1.0)
    assert torch.isnan(loss)
    loss.backward()
    assert data.grad.shape == data.shape


def test_every_parameter_and_the_volume_get_gradients():
    renderer, volume, origins, directions = _setup(1)
    volume.data.requires_grad_()
    out = renderer.train()(volume, origins, directions)
    (out.depth.sum() + out.rgb.sum()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in renderer.parameters())
    assert volume.data.grad.abs().sum() > 0


def test_rendering_needs_torch_and_numpy_alone(repository):
    code = """
        import sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                top = name.split(".")[0]
                stack = "mmengine mmcv mmdet mmdet3d spconv transformers jaxtyping beartype cv2 scipy skimage"
                if top in stack.split():
                    raise ImportError(f"{top} is not on a bare machine")
        sys.meta_path.insert(0, Refuse())
        import ponderv2.geometry, ponderv2.rendering, ponderv2.structures
        print("bare")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=repository,
        env=os.environ,
    )
    assert done.stdout.strip() == "bare", done.stderr
