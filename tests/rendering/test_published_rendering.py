"""With the published placement, rendering gives what a plain statement of the published decoder gives."""

import pytest
import torch

from ponderv2.rendering import (
    BoxCollider,
    HierarchicalSampler,
    LinearDisparitySampler,
    NeuSOpacity,
    SDFField,
    UniformSampler,
    VolumeRenderer,
)
from ponderv2.structures import FeatureVolume, VoxelGrid
from tests.factories.published_rendering import published_features, published_mlp, published_render

RANGE, CELLS = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), (18, 18, 5)
CHANNELS, RAYS = 8, 150
PREFIX = "pts_bbox_head.render_model.field."


@pytest.fixture(scope="module")
def scene():
    """A random field and volume with surfaces, and rays; the same in both styles."""
    generator = torch.Generator().manual_seed(3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        field, opacity = SDFField(CHANNELS), NeuSOpacity()
    with torch.no_grad():
        # Signed distances then change their sign every few metres.
        field.sdf_mlp.condition_proj.weight *= 2
        field.sdf_mlp.layers[-1].weight *= 2
    volume = torch.randn(1, CHANNELS, *CELLS[::-1], generator=generator)
    origins = torch.randn(1, RAYS, 3, generator=generator) * torch.tensor([2.0, 2.0, 0.3])
    directions = torch.randn(1, RAYS, 3, generator=generator) * torch.tensor([1.0, 1.0, 0.05])
    return field, opacity, volume, origins, torch.nn.functional.normalize(directions, dim=-1)


def published_weights(field: SDFField, opacity: NeuSOpacity) -> dict[str, torch.Tensor]:
    weights = {f"{PREFIX}deviation_network.variance": opacity.log_sharpness.detach()[None]}
    for name, mlp in (("sdf_decoder", field.sdf_mlp), ("rgb_decoder", field.color_mlp)):
        parts = {"fc_p": mlp.point_proj.state_dict()}
        for k, layer in enumerate(mlp.layers):
            parts[f"lin{k}"] = layer.state_dict()
            condition = mlp.condition_proj.state_dict()
            parts[f"fc_c.{k}"] = {part: value.chunk(len(mlp.layers))[k] for part, value in condition.items()}
        weights |= {f"{PREFIX}{name}.{at}.{part}": v for at, values in parts.items() for part, v in values.items()}
    return weights


def rendered(scene, placement="published", eps=1e-5):
    field, opacity, volume, origins, directions = scene
    sampler, opacity = HierarchicalSampler(placement=placement), NeuSOpacity(opacity.log_sharpness.item(), eps)
    renderer = VolumeRenderer(field, opacity, sampler, BoxCollider()).eval()
    with torch.no_grad():
        return renderer(FeatureVolume(volume, VoxelGrid(RANGE, CELLS, "published")), origins, directions)


def test_the_renderer_reads_a_volume_as_published(scene):
    field, opacity, volume, _, _ = scene
    points = torch.rand(1, 300, 3) * torch.tensor([120.0, 120, 10]) - torch.tensor([60.0, 60, 6])
    features = published_features(volume[0], points[0], RANGE)
    weights = published_weights(field, opacity)
    expected = published_mlp(weights, f"{PREFIX}sdf_decoder.", points[0] / 54, features, relu=False)[:, 0]
    read = [field.sdf(FeatureVolume(volume, VoxelGrid(RANGE, CELLS, p)), points)[0] for p in ("published", "centered")]
    torch.testing.assert_close(read[0], expected, rtol=1e-4, atol=1e-4)
    assert (read[1] - expected).abs().max() > 0.1


def test_samples_depths_and_colors_are_the_published_ones(scene):
    field, opacity, volume, origins, directions = scene
    weights = published_weights(field, opacity)
    expected = published_render(weights, volume[0], origins[0], directions[0], RANGE)
    # There is something to see, and 96 samples of which to see it.
    assert (expected["opacity"] > 0.5).float().mean() > 0.5
    output = rendered(scene)
    # In scene units, in which the decoder and its losses compute; 1e-4 of them are 5 mm.
    torch.testing.assert_close(output.t[0] / 54, expected["edges"][:, :-1] / 54, rtol=0, atol=1e-4)
    torch.testing.assert_close(output.depth[0] / 54, expected["depth"] / 54, rtol=0, atol=1e-4)
    torch.testing.assert_close(output.rgb[0], expected["rgb"], rtol=0, atol=1e-4)
    torch.testing.assert_close(output.opacity[0], expected["opacity"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("change", [dict(placement="centered"), dict(eps=0.0)])
def test_depths_differ_by_metres_without_the_published_places_or_epsilon(scene, change):
    # The latter in a random field like this one, where cameras may be inside of surfaces.
    assert (rendered(scene, **change).depth - rendered(scene).depth).abs().max() > 1.0


@pytest.mark.parametrize("sampler", [UniformSampler, LinearDisparitySampler])
def test_published_samples_begin_at_the_near_end_and_sections_reach_to_the_far_one(sampler):
    near, far = torch.tensor([0.02, 0.1]), torch.tensor([0.5, 1.0])
    samples = sampler(8, placement="published")(near, far)
    torch.testing.assert_close(samples.t[:, 0], near)
    torch.testing.assert_close(samples.t[:, -1] + samples.delta[:, -1], far)
    assert (samples.delta > 0).all()


@pytest.mark.parametrize("single", [False, True])
def test_shifts_in_training_are_around_the_starts_of_sections(single):
    near, far = torch.zeros(2000), torch.ones(2000)
    t = UniformSampler(4, single, "published")(near, far, stratified=True).t
    torch.testing.assert_close(t.mean(dim=0), torch.tensor([0.0625, 0.25, 0.5, 0.75]), rtol=0, atol=0.01)
    assert (t[:, 1:] - torch.arange(1, 4) / 4).abs().max() <= 0.125


@pytest.mark.parametrize(("steps", "single"), [(1, True), (2, True), (2, False)])
def test_published_samples_of_training_are_sorted_and_dense_at_a_surface(steps, single):
    near, far = torch.full((50,), 0.1), torch.full((50,), 1.1)
    sampler = HierarchicalSampler(16, 8, steps, single_jitter=single, placement="published")
    samples = sampler(near, far, lambda t: 0.6 - t, stratified=True)
    assert samples.t.shape == (50, 24)
    assert (samples.t.diff(dim=-1) >= 0).all()
    assert (samples.t >= 0.1).all()
    assert (samples.t + samples.delta <= 1.1 + 1e-6).all()
    assert (((samples.t - 0.6).abs() < 0.1).sum(dim=-1) >= 8).all()


@pytest.mark.parametrize("sampler", [UniformSampler, HierarchicalSampler])
def test_an_unknown_placement_is_refused(sampler):
    with pytest.raises(ValueError, match="placement: expected 'centered' or 'published', got 'starts'"):
        sampler(8, placement="starts")
