"""The converted rendering head renders what the published one does, in float32 to 1e-4."""

import pytest
import torch

from ponderv2.heads import RenderHead
from ponderv2.rendering import VolSDFOpacity
from ponderv2.structures import FeatureVolume, VoxelGrid
from tests.factories import published_layout as layout
from tests.factories.published_conversion import converted
from tests.factories.published_image_modules import biased_conv
from tests.factories.published_rendering import published_mlp, published_render

RANGE = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
GRID = VoxelGrid(RANGE, (18, 18, 5), placement="published")
RAYS = 120
DECODER = "pts_bbox_head.render_model.field.sdf_decoder."


@pytest.fixture(scope="module")
def weights():
    weights = layout.random_weights(layout.render_head(12, features=8))
    # A smooth field: in a rough one what rounding does to the place of a sample moves normals and depths.
    weights |= {name: 0.5 * value for name, value in weights.items() if "_decoder." in name}
    norm = "pts_bbox_head.render_conv.1"
    weights |= {name: 0.3 * weights[name] for name in (f"{norm}.weight", f"{norm}.bias")}
    # Distances as often below zero as above, so that most rays meet a surface.
    name = f"{DECODER}lin5.bias"
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(4000, 3, generator=generator) * 2 - 1
    features = 0.3 * torch.randn(4000, 8, generator=generator).relu()
    bias = weights[name].clone()
    bias[0] -= published_mlp(weights, DECODER, points, features, relu=False)[:, 0].median()
    return weights | {name: bias}


def head_of(weights, **changes) -> RenderHead:
    arguments = dict(in_channels=12, render_channels=8, sampler=dict(placement="published"), opacity=dict(eps=1e-5))
    head = RenderHead(**arguments | changes).eval()
    head.load_state_dict(converted(weights, "head"))
    return head


def rays_of() -> tuple[torch.Tensor, torch.Tensor]:
    origins = torch.randn(1, RAYS, 3) * torch.tensor([2.0, 2.0, 0.3])
    directions = torch.randn(1, RAYS, 3) * torch.tensor([1.0, 1.0, 0.05])
    return origins, torch.nn.functional.normalize(directions, dim=-1)


@torch.no_grad()
def test_from_the_volume_of_the_encoder_to_depths_and_colors(weights):
    head, volume, (origins, directions) = head_of(weights), torch.randn(1, 12, *GRID.shape), rays_of()
    expected = biased_conv(weights, "pts_bbox_head.render_conv", volume)
    projected = head.project(FeatureVolume(volume, GRID))
    torch.testing.assert_close(projected.data, expected, rtol=1e-4, atol=1e-4)
    expected = published_render(weights, expected[0], origins[0], directions[0], RANGE)
    actual = head.renderer(projected, origins, directions)
    assert 0.3 < expected["opacity"].mean() < 1
    assert expected["depth"].std() > 1
    # Depths in scene units, in which the published decoder computes them.
    torch.testing.assert_close(actual.depth[0] / 54, expected["depth"] / 54, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(actual.rgb[0], expected["rgb"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(actual.opacity[0], expected["opacity"], rtol=1e-4, atol=1e-4)


def test_the_head_of_lidar_pre_training_has_no_colors(weights):
    head = head_of({k: v for k, v in weights.items() if "rgb_decoder" not in k}, objective=dict(color=0.0))
    assert head.renderer.field.color_mlp is None


def test_a_head_with_another_opacity_takes_no_neus_weights(weights):
    with pytest.raises(RuntimeError, match="log_sharpness"):
        head_of(weights, opacity=dict(type=VolSDFOpacity))
