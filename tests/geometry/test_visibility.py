"""The z-buffer of LiDAR returns, against a plain loop."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ponderv2.geometry import (
    image_crop,
    image_resize,
    nearest_per_cell,
    project,
    rotation_z,
    scaling_matrix,
    visible_returns,
)
from ponderv2.structures import CameraRig
from tests.factories.camera_ring import points_around, ring


def slow(points: torch.Tensor, rig: CameraRig, camera: int) -> list[tuple[float, float, float]]:
    """(u, v, distance) of what a camera sees, by rows and columns of its pixels."""
    height, width = rig.image_size[camera].tolist()
    origin = rig.img2lidar[camera, :3, 3]
    nearest = {}
    for point in points:
        uvd = rig.lidar2img[camera] @ torch.cat([point, point.new_ones(1)])
        if uvd[2] <= 1e-5:
            continue
        u, v = (uvd[:2] / uvd[2]).tolist()
        row, column = math.floor(v + 0.5), math.floor(u + 0.5)
        if not (0 <= row < height and 0 <= column < width):
            continue
        distance = (point - origin).norm().item()
        if (row, column) not in nearest or distance < nearest[row, column][2] - 1e-12:
            nearest[row, column] = (u, v, distance)
    return [nearest[place] for place in sorted(nearest)]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.02, 0.3), st.floats(-3, 3), st.floats(0.8, 1.25))
def test_the_nearest_return_of_a_pixel_is_kept_as_a_plain_loop_keeps_it(seed, resize, angle, factor):
    size = (round(90 * resize), round(160 * resize))
    rig = ring(3, rotation_z(angle) @ scaling_matrix(factor), image_resize(resize, resize), size)
    points = points_around(120, seed)
    pixels, distances = visible_returns(points, rig)
    for camera in range(3):
        expected = torch.tensor(slow(points, rig, camera), dtype=torch.float64).reshape(-1, 3)
        found = torch.cat([pixels[camera], distances[camera][:, None]], dim=1)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 1.0, 1.5, 2.0]))))
def test_the_first_of_equally_near_points_of_a_cell_is_kept(points):
    cells, distances = ([point[k] for point in points] for k in range(2))
    found = nearest_per_cell(torch.tensor(cells, dtype=torch.long), torch.tensor(distances, dtype=torch.float64))
    expected = []
    for cell in sorted(set(cells)):
        rows = [row for row, other in enumerate(cells) if other == cell]
        expected.append(min(rows, key=lambda row: distances[row]))
    assert found.tolist() == expected


def test_every_returned_end_point_is_a_return_and_projects_to_its_pixel():
    rig, points = ring(), points_around(2000)
    pixels, distances = visible_returns(points, rig)
    for camera in range(6):
        assert len(pixels[camera]) > 100
        uv1 = torch.cat([pixels[camera], torch.ones(len(pixels[camera]), 1, dtype=torch.float64)], dim=1)
        direction = torch.nn.functional.normalize(uv1 @ rig.img2lidar[camera, :3, :3].T, dim=1)
        ends = rig.origins[camera] + distances[camera][:, None] * direction
        back, depth = project(ends, rig.lidar2img[camera])
        assert (depth > 0).all()
        torch.testing.assert_close(back, pixels[camera], rtol=0, atol=1e-8)
        assert torch.cdist(ends, points).min(dim=1).values.max() < 1e-6


def test_no_two_returns_share_a_pixel_in_a_large_image():
    # 32-bit float keys would merge pixels of the lower rows here, and not tell their depths apart.
    rig = ring(1, None, image_resize(40.0, 40.0), (3600, 6400))
    base = points_around(3000)
    points = torch.cat([base, base * 1.001, base])
    pixels, _ = visible_returns(points, rig)
    cells = torch.floor(pixels[0] + 0.5)
    assert len(cells.unique(dim=0)) == len(cells)
    assert len(cells) == len(slow(points, rig, 0))


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_of_returns_at_the_same_distance_the_first_is_kept(side):
    # The half pixel puts the optical axis on the centre of pixel (80, 45), so both returns fall in it.
    half_pixel = image_crop(0, 0)
    half_pixel[:2, 2] = 0.5
    rig = ring(1, None, half_pixel, center=(0.0, 0.0, 0.0))
    points = torch.tensor([[side * 0.02, 10.0, 0.0], [-side * 0.02, 10.0, 0.0]], dtype=torch.float64)
    pixels, distances = visible_returns(points, rig)
    assert pixels[0].tolist() == [pytest.approx([80 + side * 0.26, 45.0])]
    assert distances[0].item() == pytest.approx(math.hypot(10, 0.02))


def test_without_points_every_camera_sees_nothing():
    pixels, distances = visible_returns(torch.zeros(0, 3, dtype=torch.float64), ring())
    assert [p.shape for p in pixels] == [(0, 2)] * 6
    assert [d.shape for d in distances] == [(0,)] * 6


def test_points_behind_a_camera_are_seen_by_the_one_that_faces_them_alone():
    # A point and its mirror image through the camera centre fall on the same pixel of the front camera.
    center = torch.tensor([0.5, 0.0, 0.3], dtype=torch.float64)
    ahead = torch.tensor([0.7, 10.0, 0.4], dtype=torch.float64)
    behind = 2 * center - ahead
    front_and_back = ring(2)
    pixels, _ = visible_returns(behind[None], front_and_back)
    assert [len(p) for p in pixels] == [0, 1]
    nearer_behind = center - 0.2 * (ahead - center)
    pixels, distances = visible_returns(torch.stack([nearer_behind, ahead]), front_and_back)
    assert [len(p) for p in pixels] == [1, 1]
    assert distances[0].item() == pytest.approx((ahead - center).norm().item())


def test_a_point_behind_on_the_ray_of_the_first_pixel_is_not_seen():
    # Where depth is clamped, `u * d = v * d = 0` would pass for pixel (0, 0).
    rig = ring(1)
    corner_ray = rig.img2lidar[0, :3, :3] @ torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    points = torch.stack([rig.origins[0] - 5 * corner_ray, rig.origins[0] + 5 * corner_ray])
    assert [len(p) for p in visible_returns(points[:1], rig)[0]] == [0]
    assert [len(p) for p in visible_returns(points[1:], rig)[0]] == [1]


def test_pixels_reach_half_a_pixel_beyond_the_outer_centres():
    rig = ring(1)
    uv = torch.tensor([[-0.49, 10.0], [-0.51, 20.0], [159.49, 30.0], [159.51, 40.0], [50.0, -0.49], [60.0, 89.51]])
    uv1 = torch.cat([uv.double(), torch.ones(6, 1, dtype=torch.float64)], dim=1)
    points = rig.origins[0] + 10 * uv1 @ rig.img2lidar[0, :3, :3].T
    pixels, _ = visible_returns(points, rig)
    assert sorted(round(v.item(), 2) for v in pixels[0][:, 1]) == [-0.49, 10.0, 30.0]
