"""Scores of pictures: what is drawn into them, what is found in them, and how pixels become places."""

import math

import pytest
import torch

from ponderv2.heads.keypoints import ImageKeypointHead, return_distances, score_peaks, score_targets
from ponderv2.structures import MapCells
from tests.factories.small_rig import small_rig

CELLS = MapCells(4)


def test_targets_are_the_highest_bell_of_each_cell():
    torch.manual_seed(0)
    pixels, scores = 60 * torch.rand(2, 9, 2), torch.rand(9)
    seen = torch.rand(2, 9) > 0.3
    drawn = score_targets(pixels, seen, scores, CELLS, (12, 16))
    for camera in range(2):
        for row in range(12):
            for column in range(16):
                best = 0.0
                for k in range(9):
                    x, y = ((pixels[camera, k] + 0.5) / 4 - 0.5).tolist()
                    if seen[camera, k] and abs(row - round(y)) <= 2 and abs(column - round(x)) <= 2:
                        bell = float(scores[k]) * math.exp(-((column - x) ** 2 + (row - y) ** 2) / 2)
                        best = max(best, bell)
                assert float(drawn[camera, row, column]) == pytest.approx(best, abs=1e-5)


def test_peaks_are_found_where_they_were_drawn():
    pixels = torch.tensor([[[9.3, 20.9], [41.0, 30.2]], [[25.5, 10.1], [0.0, 0.0]]])
    seen = torch.tensor([[True, True], [True, False]])
    drawn = score_targets(pixels, seen, torch.tensor([0.9, 0.6]), CELLS, (12, 16))
    camera, found, scores = score_peaks(torch.logit(drawn.clamp(1e-5, 1 - 1e-5)), CELLS, 3)
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    expected = [(0, pixels[0, 0]), (0, pixels[0, 1]), (1, pixels[1, 0])]
    for number, place in expected:
        near = [(int(c) == number) and float((p - place).norm()) < 1.3 for c, p in zip(camera, found, strict=True)]
        assert sum(near) == 1


def test_peaks_of_a_flat_map_are_in_its_order_and_at_most_as_many_as_asked_for():
    camera, pixels, scores = score_peaks(torch.zeros(2, 3, 4), CELLS, 5)
    assert len(camera) == len(pixels) == len(scores) == 5


def test_the_distance_of_a_pixel_is_that_of_the_return_nearest_in_the_picture():
    rig = small_rig().first().to("cpu", torch.float32)
    torch.manual_seed(0)
    points = 20 * (torch.rand(400, 3) - 0.5)
    height, width = rig.image_size[0].tolist()
    pixels = torch.rand(30, 2) * torch.tensor([width - 1.0, height - 1.0])
    camera = torch.arange(30) % rig.num_cameras
    found = return_distances(points, rig, camera, pixels, 4.0)
    for k in range(30):
        number, best = int(camera[k]), (math.inf, 0.0)
        for point in points:
            u, v, depth = (rig.lidar2img[number] @ torch.cat([point, torch.ones(1)]))[:3].tolist()
            u, v = (u / depth, v / depth) if depth > 0.1 else (-9.0, -9.0)
            if -0.5 <= u < width - 0.5 and -0.5 <= v < height - 0.5:
                origin = rig.origins[number]
                best = min(best, (math.dist((u, v), pixels[k].tolist()), float((point - origin).norm())))
        assert float(found[k]) == pytest.approx(best[1] if best[0] <= 4.0 else 0.0, rel=1e-3)
    assert (found > 0).any()
    assert (found == 0).any()


def test_the_head_gives_maps_no_gradient_and_starts_with_low_scores():
    torch.manual_seed(0)
    maps = torch.randn(1, 2, 5, 6, 8, requires_grad=True)
    head = ImageKeypointHead(5, 7)
    found = head(maps)
    assert found.logits.shape == (1, 2, 6, 8)
    assert found.descriptors.shape == (1, 2, 7, 6, 8)
    assert found.logits.sigmoid().mean() < 0.05
    (found.logits.sum() + found.descriptors.sum()).backward()
    assert maps.grad is None
    assert all(p.grad is not None for p in head.parameters())
