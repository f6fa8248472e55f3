"""Rays of cameras: where they go and what they should see."""

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ponderv2.datasets import (
    LoadCameras,
    LoadLidarSweeps,
    MultiViewResizeCropFlipRotate,
    SampleCameraRays,
    UnifiedRotScaleTransFlip,
)
from ponderv2.datasets.transforms import loading
from ponderv2.datasets.transforms.loading import rig_of
from ponderv2.datasets.transforms.sample_generator import sample_generator
from ponderv2.geometry import project, visible_returns
from ponderv2.structures import RayBatch
from tests.factories.rays import RANGE, draw, equal, pixel_rays

WIDE = (-500.0, -500.0, -500.0, 500.0, 500.0, 500.0)


def ends(rays: RayBatch) -> torch.Tensor:
    return (rays.origins + rays.depth[..., None] * rays.directions).double()


def bilinear(image: np.ndarray, u: float, v: float) -> np.ndarray:
    height, width = image.shape[:2]
    u, v = min(max(u, 0), width - 1), min(max(v, 0), height - 1)
    left, top = min(int(u), width - 2), min(int(v), height - 2)
    a, b = u - left, v - top
    window = image[top : top + 2, left : left + 2].astype(np.float64) / 255
    upper, lower = (1 - a) * window[:, 0] + a * window[:, 1]
    return (1 - b) * upper + b * lower


# ------------------------------------------------------------------------------------------------ depth


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_end_points_project_to_their_pixels_under_any_augmentation(load, seed, scene, picture):
    np.random.seed(seed)
    results = load(decode=False)
    if scene:
        augment = UnifiedRotScaleTransFlip((-math.pi, math.pi), (0.8, 1.25), (1.0, 1.0, 0.5), 0.5, 0.5)
        results = augment(results)
    if picture:
        results = MultiViewResizeCropFlipRotate((80, 144), (0.6, 1.2), (0.0, 1.0), 0.5, (-0.2, 0.2))(results)
    rays = draw(results, WIDE, color=False, rays_per_camera=256, radius=(0.0, 1000.0))
    assert rays.has_depth.sum() > 300
    pixels, depth = project(ends(rays), results["rig"].lidar2img)
    assert (depth[rays.has_depth] > 0).all()
    assert (pixels - rays.pixels)[rays.has_depth].abs().max() < 0.01
    nearest = torch.cdist(ends(rays)[rays.has_depth], results["points"].tensor[:, :3].double()).min(dim=1).values
    assert nearest.max() < 1e-3


def test_a_depth_is_the_length_from_the_camera_centre(load):
    results = load(decode=False)
    rays = draw(results, color=False, rays_per_camera=64)
    torch.testing.assert_close(rays.directions.norm(dim=-1), torch.ones(6, 64))
    centers = torch.tensor([0.5, 0.0, 0.3]).expand(6, 64, 3)
    torch.testing.assert_close(rays.origins, centers, rtol=0, atol=1e-6)


def test_rays_aim_at_the_z_buffered_returns_alone(load):
    results = load(decode=False)
    rays = draw(results, color=False, rays_per_camera=5000, radius=(3.0, 1000.0))
    points = results["points"].tensor[:, :3].double()
    pixels, distances = visible_returns(points, rig_of(results))
    for camera in range(6):
        found = rays.valid[camera]
        assert found.sum() == len(pixels[camera]) < 5000
        assert torch.equal(rays.pixels[camera][found].unique(dim=0), pixels[camera].float().unique(dim=0))
        assert torch.equal(rays.depth[camera][found].sort().values, distances[camera].float().sort().values)


def test_returns_outside_the_volume_or_the_ring_get_no_ray(load):
    box = (-12.0, -10.0, -5.0, 9.0, 11.0, -1.0)
    rays = draw(load(decode=False), box, color=False, rays_per_camera=5000)
    inside = ends(rays)[rays.has_depth]
    assert len(inside) > 100
    assert (inside >= torch.tensor(box[:3]) - 1e-4).all()
    assert (inside <= torch.tensor(box[3:]) + 1e-4).all()
    rays = draw(load(decode=False), color=False, rays_per_camera=5000, radius=(6.0, 15.0))
    radius = ends(rays)[rays.has_depth][:, :2].norm(dim=1)
    assert 6.0 - 1e-4 < radius.min() < 6.5
    assert 14.5 < radius.max() < 15.0 + 1e-4


# ----------------------------------------------------------------------------------- number and validity


def test_the_number_of_rays_is_fixed_and_what_is_missing_is_invalid(load):
    results = load(decode=False)
    rays = draw(results, color=False, rays_per_camera=5000)
    assert rays.valid.shape == rays.depth.shape == (6, 5000)
    assert rays.pixels.shape == (6, 5000, 2)
    assert rays.rgb is None
    assert 0 < rays.valid.sum() < rays.valid.numel()
    assert torch.equal(rays.has_depth, rays.valid)
    assert (rays.depth[~rays.valid] == 0).all()
    assert all(getattr(rays, f).isfinite().all() for f in ("origins", "directions", "depth", "pixels"))


def test_returns_and_pixels_fill_up_until_both_run_out(load):
    rays = draw(load(), rays_per_camera=12000)
    lidar, others = rays.has_depth.sum(dim=1), pixel_rays(rays).sum(dim=1)
    assert others.tolist() == [54 * 160] * 6
    assert torch.equal(lidar + others, rays.valid.sum(dim=1))
    assert rays.valid.sum(dim=1).max() < 12000
    for camera in range(6):
        pixels = rays.pixels[camera][pixel_rays(rays)[camera]]
        assert len(pixels.unique(dim=0)) == len(pixels)


@pytest.mark.parametrize(("share", "expected"), [(1.0, 64), (0.25, 16), (0.0, 0)])
def test_at_most_the_given_share_goes_to_returns(load, share, expected):
    rays = draw(load(), rays_per_camera=64, lidar_share=share)
    assert rays.valid.all()
    assert rays.has_depth.sum(dim=1).tolist() == [expected] * 6


def test_carriers_are_single_precision_and_the_rig_double(load):
    results = load()
    rays = draw(results, rays_per_camera=8)
    assert {getattr(rays, f).dtype for f in ("origins", "directions", "depth", "pixels", "rgb")} == {torch.float32}
    assert results["rig"].lidar2img.dtype == torch.float64


def test_without_any_return_there_are_pixel_rays_alone(load):
    results = load()
    results["points"].tensor = results["points"].tensor[:0]
    rays = draw(results, rays_per_camera=100)
    assert rays.valid.all()
    assert not rays.has_depth.any()


def test_without_any_return_and_colour_no_ray_is_valid(load):
    results = load(decode=False)
    results["points"].tensor = results["points"].tensor[:0]
    rays = draw(results, rays_per_camera=100, color=False)
    assert not rays.valid.any()
    assert rays.directions.isfinite().all()


# ------------------------------------------------------------------------------------------ pixel rays


def test_colours_are_bilinear_values_of_the_image(load):
    results = load()
    rays = draw(results, rays_per_camera=200, lidar_share=0.5)
    assert rays.has_depth.sum(dim=1).tolist() == [100] * 6
    for camera in range(6):
        expected = [bilinear(results["img"][camera], *uv) for uv in rays.pixels[camera].double().tolist()]
        torch.testing.assert_close(rays.rgb[camera].double(), torch.from_numpy(np.stack(expected)), rtol=0, atol=1e-4)


def test_a_return_keeps_its_colour_under_every_augmentation(load):
    def augmented(results: dict) -> dict:
        np.random.seed(3)
        results = UnifiedRotScaleTransFlip((-1.0, 1.0), (0.9, 1.1), (0.5, 0.5, 0.5), 0.5, 0.5)(results)
        return MultiViewResizeCropFlipRotate((100, 180), (1.2, 1.4), (0.2, 0.8), 0.5, (-0.1, 0.1))(results)

    plain = load()
    results = augmented(load())
    inverse = np.linalg.inv(results["lidar_aug"])
    # Turning uncovers corners, which are black: leave them out.
    white = load()
    white["img"] = [np.full_like(image, 255) for image in white["img"]]
    covered = [cv2.erode(image, np.ones((5, 5), np.uint8)) for image in augmented(white)["img"]]
    rays = draw(results, WIDE, rays_per_camera=300, radius=(0.0, 1000.0))
    compared = 0
    for camera in range(6):
        chosen = rays.has_depth[camera]
        world = ends(rays)[camera][chosen] @ torch.from_numpy(inverse)[:3, :3].T + inverse[:3, 3]
        before, _ = project(world, rig_of(plain).lidar2img[camera])
        at = rays.pixels[camera][chosen].round().long()
        inner = torch.from_numpy(covered[camera][at[:, 1].clamp(0, 99), at[:, 0].clamp(0, 179), 0] == 255)
        expected = np.stack([bilinear(plain["img"][camera], *uv) for uv in before[inner].tolist()])
        found = rays.rgb[camera][chosen][inner].numpy()
        assert np.abs(found - expected).max() < 6 / 255
        assert np.abs(found - expected).mean() < 1.2 / 255
        compared += len(expected)
    assert compared > 300


def test_no_image_is_needed_without_colour(load):
    results = load(decode=False)
    assert "img" not in results
    assert draw(results, color=False).rgb is None


@pytest.mark.parametrize("sky", [0.0, 0.4, 0.9])
def test_pixel_rays_start_below_the_sky_at_pixel_centres(load, sky):
    rays = draw(load(), rays_per_camera=1000, lidar_share=0.0, sky_region=sky)
    pixels = rays.pixels[pixel_rays(rays)]
    top = int(90 * sky)
    assert pixels[:, 1].min() == top
    assert pixels[:, 1].max() == 89
    assert pixels[:, 0].min() == 0
    assert pixels[:, 0].max() == 159
    assert torch.equal(pixels, pixels.round())


def test_returns_in_the_sky_region_keep_their_rays(load):
    rays = draw(load(), rays_per_camera=2000, sky_region=0.5)
    assert (rays.pixels[rays.has_depth][:, 1] < 40).sum() > 100


def test_rays_stay_inside_the_image_without_its_padding(load):
    results = load()
    results["img"][2] = results["img"][2][:60, :100]
    results["image_sizes"][2] = (60, 100)
    rays = draw(results, rays_per_camera=3000)
    assert results["rig"].padded_size == (90, 160)
    for camera in range(6):
        height, width = (60, 100) if camera == 2 else (90, 160)
        u, v = rays.pixels[camera][rays.valid[camera]].unbind(dim=1)
        assert u.min() >= -0.5
        assert v.min() >= -0.5
        assert width - 5 < u.max() <= width - 0.5
        assert height - 5 < v.max() <= height - 0.5


# ----------------------------------------------------------------------------------------------- chance


@pytest.mark.parametrize("picture", [False, True])
def test_the_choice_is_that_of_plain_loops(load, picture):
    """Camera by camera: a permutation of the returns that it sees, in the order of its pixels; then pixels."""
    np.random.seed(1)
    results = load()
    if picture:
        results = MultiViewResizeCropFlipRotate((80, 144), (0.6, 1.2), (0.0, 1.0), 0.5, (-0.2, 0.2))(results)
    rays = draw(results, rays_per_camera=600, lidar_share=0.9, seed=3)
    rig, rng = rig_of(results), sample_generator(3, results)
    points = results["points"].tensor[:, :3].double()
    inside = [
        all(low <= value < high for value, low, high in zip(p, RANGE[:3], RANGE[3:], strict=True))
        and 3.0 < math.hypot(p[0], p[1]) < 100.0
        for p in points.tolist()
    ]
    pixels, distances = visible_returns(points[inside], rig)
    back = np.linalg.inv(results["img_aug"])
    height, width = rig.image_size[0].tolist()
    top = int(0.4 * height)
    for camera in range(6):

        def shown(u: float, v: float, matrix: np.ndarray = back[camera]) -> bool:
            u, v, _, _ = matrix @ (u, v, 1.0, 1.0)
            return -0.5 <= u < 159.5 and -0.5 <= v < 89.5

        usable = [k for k, uv in enumerate(pixels[camera].tolist()) if shown(*uv)]
        order = [usable[k] for k in rng.permutation(len(usable))[:540]]
        others: list[tuple[int, int]] = []
        for draws in (int(1.5 * (600 - len(order))) + 64, (height - top) * width):
            if len(others) < 600 - len(order):
                flat = rng.choice((height - top) * width, draws, replace=False).tolist()
                others = [(k % width, top + k // width) for k in flat]
                others = [uv for uv in others if shown(*uv)][: 600 - len(order)]
        expected = torch.cat([pixels[camera][order], torch.tensor(others, dtype=torch.float64)]).float()
        assert len(expected) == 600
        torch.testing.assert_close(rays.pixels[camera], expected, rtol=0, atol=1e-5)
        depth = torch.cat([distances[camera][order], torch.zeros(len(others))]).float()
        torch.testing.assert_close(rays.depth[camera], depth, rtol=0, atol=1e-5)


def test_a_seed_repeats_the_choice_whatever_numpy_s_generator_does(load):
    sample = SampleCameraRays(RANGE, rays_per_camera=64, seed=7)
    np.random.seed(0)
    state = np.random.get_state()[1].copy()
    first = sample(load())["rays"]
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    np.random.seed(1)
    assert equal(first, sample(load())["rays"])
    assert not equal(first, draw(load(), rays_per_camera=64, seed=8))


def test_with_one_seed_every_sample_has_a_choice_of_its_own(load):
    sample = SampleCameraRays(RANGE, rays_per_camera=64, seed=7)
    assert not equal(sample(load())["rays"], sample(load() | {"token": "another"})["rays"])


def test_cameras_have_choices_of_their_own(load):
    rays = draw(load(), rays_per_camera=64, lidar_share=0.0, seed=7)
    assert len({pixels.numpy().tobytes() for pixels in rays.pixels}) == 6


def test_without_a_seed_numpy_s_generator_decides(load):
    sample = SampleCameraRays(RANGE, rays_per_camera=64)
    np.random.seed(5)
    first, second = sample(load())["rays"], sample(load())["rays"]
    np.random.seed(5)
    assert equal(first, sample(load())["rays"])
    assert not equal(first, second)


def test_no_image_is_opened_without_colour(dataset, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("an image was opened")

    monkeypatch.setattr(loading, "read_images", refuse)
    monkeypatch.setattr("cv2.imread", refuse)
    monkeypatch.setattr("cv2.imdecode", refuse)
    results = LoadLidarSweeps()(LoadCameras(decode=False, image_size=(90, 160))(dataset.get_data_info(0)))
    rays = draw(results, color=False)
    assert rays.valid.any()
    assert rays.rgb is None


def test_with_no_lag_allowed_only_the_key_frame_has_targets(dataset):
    results = LoadLidarSweeps(num_sweeps=2)(dataset.get_data_info(0))
    results = LoadCameras(decode=False, image_size=(90, 160))(results)
    points = results["points"].tensor
    points[points[:, 4] > 0, 2] += 0.3  # the same world, otherwise
    key = points[points[:, 4] == 0, :3].double()
    for max_lag, low, high in ((0.0, 0.0, 1e-3), (math.inf, 0.05, math.inf)):
        rays = draw(results, color=False, max_lag=max_lag, rays_per_camera=4000)
        assert low <= torch.cdist(ends(rays)[rays.valid], key).min(dim=1).values.max() < high


def test_a_sample_without_cameras_names_itself_and_the_way_out(dataset):
    results = LoadLidarSweeps()(dataset.get_data_info(0))
    with pytest.raises(ValueError, match=r"factory: no cameras to start rays from; .* or use SampleLidarRays"):
        draw(results)


def test_a_range_that_is_none_is_refused():
    with pytest.raises(ValueError, match="point_cloud_range: every minimum must be below its maximum"):
        SampleCameraRays((0.0, 0.0, 0.0, -1.0, 1.0, 1.0))
