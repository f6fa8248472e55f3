"""Points to pixels and back, and the one place where calibration and augmentation meet."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ponderv2.geometry import (
    box_corners,
    compose_rig,
    flip_matrix,
    image_crop,
    image_flip,
    image_resize,
    image_rotate,
    in_image,
    project,
    rays_through_pixels,
    rotation_z,
    scaling_matrix,
    transform_points,
    translation_matrix,
)
from tests.factories.camera_ring import calibration, points_around, ring

QUICK = settings(max_examples=25, deadline=None)
scenes = st.builds(
    lambda angle, factor, offset, x, y: (
        flip_matrix(x, y) @ translation_matrix(offset) @ scaling_matrix(factor) @ rotation_z(angle)
    ),
    st.floats(-math.pi, math.pi),
    st.floats(0.5, 2.0),
    st.tuples(*[st.floats(-3, 3)] * 3),
    st.booleans(),
    st.booleans(),
)
pictures = st.builds(
    lambda scale, left, top, flip, angle: (
        image_rotate(angle, 160, 90)
        @ (image_flip(160) if flip else image_crop(0, 0))
        @ image_crop(left, top)
        @ image_resize(scale, scale * 1.01)
    ),
    st.floats(0.3, 2.0),
    st.integers(-50, 200),
    st.integers(-50, 200),
    st.booleans(),
    st.floats(-0.5, 0.5),
)


@QUICK
@given(scenes, pictures)
def test_a_ray_through_the_pixel_of_a_point_meets_the_point(lidar_aug, img_aug):
    rig = ring(6, lidar_aug, img_aug)
    points = transform_points(lidar_aug, points_around(200)).expand(6, -1, -1)
    pixels, depth = project(points, rig.lidar2img)
    origins, directions = rays_through_pixels(pixels, rig.img2lidar)
    distance = (points - origins).norm(dim=-1, keepdim=True)
    seen = depth > 0.5
    assert seen.sum() > 200
    torch.testing.assert_close((origins + distance * directions)[seen], points[seen], rtol=0, atol=1e-8)


@QUICK
@given(scenes, pictures, st.floats(-500, 500), st.floats(-500, 500), st.floats(0.5, 80))
def test_a_point_on_the_ray_of_a_pixel_projects_to_that_pixel(lidar_aug, img_aug, u, v, length):
    rig = ring(6, lidar_aug, img_aug)
    pixels = torch.tensor([[u, v]], dtype=torch.float64).expand(6, 1, 2)
    origins, directions = rays_through_pixels(pixels, rig.img2lidar)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(6, 1, dtype=torch.float64))
    torch.testing.assert_close(origins, rig.origins[:, None])
    back, depth = project(origins + length * directions, rig.lidar2img)
    assert (depth > 0).all()
    torch.testing.assert_close(back, pixels, rtol=0, atol=1e-6)


@QUICK
@given(scenes)
def test_box_corners_keep_their_pixels_and_depths_under_any_augmentation_of_the_scene(lidar_aug):
    boxes = torch.cat([points_around(20), torch.rand(20, 4, dtype=torch.float64) * 3 + 0.5], dim=1)
    corners = box_corners(boxes).reshape(-1, 3)
    pixels, depth = project(corners.expand(6, -1, -1), ring().lidar2img)
    moved = transform_points(lidar_aug, corners)
    moved_pixels, moved_depth = project(moved.expand(6, -1, -1), ring(6, lidar_aug).lidar2img)
    seen = depth > 0.1
    assert seen.sum() > 100
    torch.testing.assert_close(moved_depth, depth, rtol=0, atol=1e-9)
    torch.testing.assert_close(moved_pixels[seen], pixels[seen], rtol=0, atol=1e-4)


@QUICK
@given(pictures)
def test_augmenting_the_image_moves_pixels_by_the_matrix_and_leaves_depths(img_aug):
    points = points_around(50).expand(6, -1, -1)
    pixels, depth = project(points, ring().lidar2img)
    moved, moved_depth = project(points, ring(6, None, img_aug).lidar2img)
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    seen = depth > 0.1
    expected = (homogeneous @ img_aug[:3, :3].T)[..., :2]
    torch.testing.assert_close(moved[seen], expected[seen], rtol=1e-9, atol=1e-7)
    torch.testing.assert_close(moved_depth, depth)


def test_a_point_on_the_optical_axis_is_at_the_principal_point():
    points = torch.tensor([[[0.5, 12.0, 0.3]]], dtype=torch.float64)
    pixels, depth = project(points, ring(1).lidar2img)
    torch.testing.assert_close(pixels[0, 0], torch.tensor([79.5, 44.5], dtype=torch.float64))
    torch.testing.assert_close(depth[0, 0], torch.tensor(12.0, dtype=torch.float64))


def test_right_is_right_and_up_is_a_smaller_row():
    right_and_up = torch.tensor([[[1.5, 10.0, 1.3]]], dtype=torch.float64)
    pixels, _ = project(right_and_up, ring(1).lidar2img)
    torch.testing.assert_close(pixels[0, 0], torch.tensor([79.5 + 13.0, 44.5 - 12.8], dtype=torch.float64))


def test_behind_and_beside_the_camera_pixels_are_finite_and_depths_tell():
    points = torch.tensor([[[0.5, -5.0, 0.3], [4.0, 0.0, 0.3], [0.5, 0.0, 0.3]]], dtype=torch.float64)
    pixels, depth = project(points, ring(1).lidar2img)
    assert pixels.isfinite().all()
    assert (depth <= 1e-12).all()


def test_an_image_covers_half_a_pixel_around_its_outermost_centres():
    below = math.nextafter(-0.5, -1.0)
    pixels = [[-0.5, -0.5], [159.49, 44.49], [below, 0.0], [0.0, below], [159.5, 0.0], [0.0, 89.5]]
    pixels = torch.tensor(pixels, dtype=torch.float64).expand(2, -1, -1)
    inside = in_image(pixels, torch.tensor([[90, 160], [45, 200]]))
    assert inside.tolist() == [[True, True, False, False, False, False], [True, True, False, False, True, False]]


def test_an_affine_matrix_acts_on_columns():
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3] = torch.rand(3, 4, dtype=torch.float64)
    points = torch.rand(7, 3, dtype=torch.float64)
    expected = torch.stack([(matrix @ torch.cat([p, p.new_ones(1)]))[:3] for p in points])
    torch.testing.assert_close(transform_points(matrix, points), expected)


def test_the_parts_of_a_rig_agree():
    rig = ring(6, scaling_matrix(1.1) @ rotation_z(0.4), image_resize(0.5, 0.5))
    torch.testing.assert_close(rig.lidar2img, rig.cam2img @ rig.lidar2cam)
    identity = torch.eye(4, dtype=torch.float64).expand(6, 4, 4)
    torch.testing.assert_close(rig.img2lidar @ rig.lidar2img, identity, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["lidar2cam", "cam2img", "lidar_aug", "img_aug"])
def test_single_precision_calibration_is_refused_by_name(name):
    lidar2cam, cam2img = calibration(2)
    matrices = {
        "lidar2cam": lidar2cam,
        "cam2img": cam2img,
        "lidar_aug": torch.eye(4, dtype=torch.float64),
        "img_aug": torch.eye(4, dtype=torch.float64).repeat(2, 1, 1),
    }
    matrices[name] = matrices[name].float()
    with pytest.raises(TypeError, match=f"{name}: calibration is composed in float64, got torch.float32"):
        compose_rig(**matrices, image_size=torch.tensor([[90, 160]] * 2), padded_size=(90, 160))
