"""Both heads together: losses, gradients, samples without anything, and what is refused."""

import pytest
import torch

from ponderv2.errors import UserError
from ponderv2.heads.keypoints import (
    KeypointBranch,
    KeypointView,
    fused_keypoints,
    image_keypoints,
    random_keypoints,
    volume_keypoints,
)
from ponderv2.structures import FeatureVolume, MapCells, VoxelGrid
from tests.factories.small_rig import small_rig

GRID = VoxelGrid((-16.0, -16.0, -2.0, 16.0, 16.0, 2.0), (16, 16, 2))
CELLS = MapCells(4)


def _view(seed: int, counts: tuple[int, ...] = (900, 700)) -> KeypointView:
    generator = torch.Generator().manual_seed(seed)
    size = len(counts)
    scale = torch.tensor([28.0, 28.0, 3.5])
    points = [(torch.rand(n, 3, generator=generator) - 0.5) * scale for n in counts]
    volume = FeatureVolume(torch.randn(size, 4, *GRID.shape, generator=generator), GRID)
    maps = torch.randn(size, 2, 3, 16, 24, generator=generator)
    rig = small_rig(batch=size).to("cpu", torch.float32)
    return KeypointView(volume, points, maps, rig, torch.tensor([True, False])[:size])


def _branch(**changes) -> KeypointBranch:
    torch.manual_seed(0)
    return KeypointBranch(4, 3, **dict(descriptor_channels=8, max_points=40) | changes)


def test_losses_reach_every_parameter_also_where_a_sample_has_no_return():
    for counts in ((900, 700), (900, 0), (0, 0)):
        branch = _branch()
        losses = branch.losses(_view(0, counts), _view(1), torch.eye(4).repeat(2, 1, 1), CELLS)
        assert all(value.isfinite() for value in losses.values())
        sum(value for name, value in losses.items() if name.startswith("loss")).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in branch.parameters())
        assert 0 <= losses["keypoints_repeat"] <= 1


def test_the_same_view_again_repeats_wholly():
    losses = _branch().losses(_view(0), _view(0), torch.eye(4).repeat(2, 1, 1), CELLS)
    assert float(losses["keypoints_repeat"]) == 1


def test_key_points_are_few_apart_and_by_falling_score_whatever_their_source():
    branch, view = _branch(), _view(0)
    numbers = [40, 25]
    depths = [lambda origins, directions: torch.full((len(origins),), 6.0)] * 2
    generator = torch.Generator().manual_seed(0)
    found = {
        "lidar": volume_keypoints(branch, view),
        "fusion": fused_keypoints(branch, view, CELLS),
        "image": image_keypoints(branch, view, CELLS, depths),
        "random": random_keypoints(branch, view, numbers, generator),
    }
    for name, samples in found.items():
        for points, number in zip(samples, numbers, strict=True):
            assert len(points) == number if name == "random" else 20 < len(points) <= 40
            apart = torch.cdist(points.places, points.places) + 9 * torch.eye(len(points))
            assert apart.min() > branch.suppression - 1e-4
            assert (points.scores.diff() <= 0).all()
            torch.testing.assert_close(points.descriptors.norm(dim=1), torch.ones(len(points)))
            assert GRID.contains(points.places).all()
    for points, cloud in zip(found["random"], view.points, strict=True):
        assert {tuple(place) for place in points.places.tolist()} <= {tuple(place) for place in cloud.tolist()}


def test_pictures_take_the_distance_of_returns_and_what_is_rendered_where_there_is_none():
    branch, view = _branch(max_points=512, suppression=0.01), _view(0)
    asked = []

    def depths(origins, directions):
        asked.append(len(origins))
        return torch.zeros(len(origins))

    points = image_keypoints(branch, view, CELLS, [depths, depths])
    # Nothing is rendered at 0 m: what is left has the distances of returns, within rounding.
    assert min(asked) > 0
    for found, cloud in zip(points, view.points, strict=True):
        apart = (found.places.norm(dim=1)[:, None] - cloud.norm(dim=1)).abs().min(dim=1).values
        assert len(found) > 20
        assert apart.max() < 1e-3


def test_the_scores_of_a_fusion_are_means_where_pictures_show_a_place():
    branch, view = _branch(max_points=512, suppression=0.01), _view(0, (900,))
    (fused,) = fused_keypoints(branch, view, CELLS)
    with torch.no_grad():
        (plain,) = branch.volume_head(view.volume, view.points)
        logits = branch.image_head(view.maps).logits[0]
    exact = "donot_use_mm_for_euclid_dist"
    twin = torch.cdist(fused.places, plain.places, compute_mode=exact).argmin(dim=1)
    rig = view.rig.at(0)
    for k in range(0, len(fused), 7):
        scores = []
        for camera in range(2):
            u, v, depth = (rig.lidar2img[camera] @ torch.cat([fused.places[k], torch.ones(1)]))[:3].tolist()
            if depth > 1e-5 and -0.5 <= u / depth < 89.5 and -0.5 <= v / depth < 59.5:
                x, y = ((u / depth + 0.5) / 2 / 48 - 0.5) * 2, ((v / depth + 0.5) / 2 / 32 - 0.5) * 2
                place = torch.tensor([[[[x, y]]]])
                read = torch.nn.functional.grid_sample(
                    logits[camera][None, None], place, align_corners=False, padding_mode="border"
                )
                scores.append(float(read.sigmoid()))
        own = float(plain.scores[twin[k]])
        expected = (own + sum(scores) / len(scores)) / 2 if scores else own
        assert float(fused.scores[k]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("number", [0, 513])
def test_more_key_points_than_files_take_are_refused(number):
    with pytest.raises(UserError, match=r"keypoints.max_points: expected a whole number from 1 to 512, got"):
        _branch(max_points=number)
