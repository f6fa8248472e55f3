"""Places in several views: against explicit loops over points, and across key frames."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from ponderv2.geometry import in_image, project, rays_through_pixels, sample_image
from ponderv2.structures import MapCells, PastBatch, RayBatch
from ponderv2.teachers import agreement, other_views, ray_ends, unmatched_agreement
from ponderv2.teachers.view_consistency import moved_to
from tests.factories.small_rig import small_rig

CELLS = MapCells(4)


@pytest.fixture
def scene():
    """Eight cameras whose images overlap, and rays through random pixels of each."""
    torch.manual_seed(0)
    rig = small_rig(cameras=8, batch=2).to("cpu", torch.float32)
    pixels = torch.rand(2, 8, 20, 2) * torch.tensor([89.0, 59.0])
    origins, directions = rays_through_pixels(pixels, rig.img2lidar)
    valid = torch.rand(2, 8, 20) > 0.2
    rays = RayBatch(origins, directions, valid, 3 + 20 * torch.rand(2, 8, 20), pixels)
    return rig, rays, torch.randn(2, 8, 5, 16, 24)


def test_features_of_other_views_are_those_that_a_loop_over_places_and_cameras_finds(scene):
    rig, rays, maps = scene
    views = list(other_views(ray_ends(rays), maps, CELLS, rig))
    assert len(views) == 7
    found, pairs = 0, []
    for b in range(2):
        for n in range(8):
            for r in range(20):
                point = rays.origins[b, n, r] + rays.depth[b, n, r] * rays.directions[b, n, r]
                for shift, (features, seen) in enumerate(views, start=1):
                    other = (n + shift) % 8
                    pixel, depth = project(point[None], rig.lidar2img[b, other])
                    expected = bool(depth > 0) and bool(in_image(pixel, rig.image_size[b, other]))
                    assert bool(seen[b, n, r]) == expected
                    if expected:
                        # A picture whose pixels are the cells of the map.
                        value = sample_image(maps[b, other], (pixel + 0.5) / 4 - 0.5)[0]
                        torch.testing.assert_close(features[b, n, r], value, atol=1e-4, rtol=1e-4)
                        own = sample_image(maps[b, n], (rays.pixels[b, n, r][None] + 0.5) / 4 - 0.5)[0]
                        found += 1
                        if rays.has_depth[b, n, r]:
                            pairs.append(F.cosine_similarity(own, value, dim=0))
    assert found > 50
    rows = [sample_image(maps[b, n], (rays.pixels[b, n] + 0.5) / 4 - 0.5) for b in range(2) for n in range(8)]
    own = torch.stack(rows).unflatten(0, (2, 8))
    expected = torch.stack(pairs).mean()
    torch.testing.assert_close(agreement(own, own, views, rays.has_depth), expected, atol=1e-4, rtol=1e-4)
    alike = [pair for pair in pairs if pair >= 0.3]
    kept = agreement(own, own, views, rays.has_depth, least=0.3)
    torch.testing.assert_close(kept, torch.stack(alike).mean(), atol=1e-4, rtol=1e-4)


def test_a_key_frame_before_is_read_where_the_car_was_then(scene):
    rig, rays, maps = scene
    # The car has driven 2 m along x: what is at x now was at x + 2 in the frame before.
    motion = torch.eye(4).repeat(2, 1, 1)
    motion[:, 0, 3] = 2.0
    past = PastBatch(torch.zeros(2, 8, 3, 64, 96), rig, motion, torch.tensor([True, False]))
    points = ray_ends(rays)
    (older, newer) = moved_to(points, (past, past))
    torch.testing.assert_close(newer, points + torch.tensor([2.0, 0, 0]))
    torch.testing.assert_close(older, points + torch.tensor([4.0, 0, 0]))
    views = list(other_views(newer, maps, CELLS, past.rig, own=True))
    assert len(views) == 8
    pixel, _ = project(newer[0, 3, 7][None], rig.lidar2img[0, 3])
    expected = sample_image(maps[0, 3], (pixel + 0.5) / 4 - 0.5)[0]
    torch.testing.assert_close(views[0][0][0, 3, 7], expected, atol=1e-4, rtol=1e-4)


def test_without_a_second_view_everything_agrees_and_gradients_are_zero(scene):
    _, rays, _ = scene
    lone = replace(rays, depth=torch.zeros_like(rays.depth))
    own = torch.randn(2, 8, 20, 5, requires_grad=True)
    views = [(torch.randn(2, 8, 20, 5), torch.ones(2, 8, 20, dtype=torch.bool))]
    found = agreement(own, own.detach(), views, lone.has_depth)
    assert found == 1
    found.backward()
    assert (own.grad == 0).all()
    assert agreement(own, own.detach(), views, lone.has_depth, otherwise=torch.nan).isnan()
    assert unmatched_agreement(own, views, lone.has_depth).isnan()


def test_unmatched_places_are_all_pairs_of_two_places_in_the_same_views(scene):
    rig, rays, maps = scene
    own = torch.randn(2, 8, 20, 5)
    views = list(other_views(ray_ends(rays), maps, CELLS, rig))
    pairs = []
    for features, seen in views:
        mask = seen & rays.has_depth
        for b, n in ((b, n) for b in range(2) for n in range(8)):
            for r in mask[b, n].nonzero()[:, 0]:
                for other in mask[b, n].nonzero()[:, 0]:
                    if r != other:
                        pairs.append(F.cosine_similarity(own[b, n, r], features[b, n, other], dim=0))
    assert len(pairs) > 50
    found = unmatched_agreement(own, views, rays.has_depth)
    torch.testing.assert_close(found, torch.stack(pairs).mean(), atol=1e-4, rtol=1e-4)
