"""Range jumps of the LiDAR lie on edges of a picture of posts before a wall, unless the projection is wrong."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from ponderv2.datasets.verify import Result
from ponderv2.datasets.verify.image_edges import check_image_edges, range_jumps
from ponderv2.datasets.verify.sampled_frame import SampledFrame

WIDTH, HEIGHT, FOCAL = 400, 200, 300.0
POSTS, WALL = 8.0, 30.0
# Left edges and widths of the posts, radians from straight ahead; irregular, so that shifts do not line up again.
POST_EDGES = np.array(
    [[-0.52, 0.05], [-0.37, 0.09], [-0.13, 0.04], [-0.02, 0.07], [0.21, 0.05], [0.33, 0.11], [0.5, 0.04]]
)


def on_post(azimuth: np.ndarray) -> np.ndarray:
    left, right = POST_EDGES[:, :1], POST_EDGES[:, :1] + POST_EDGES[:, 1:]
    return ((azimuth >= left) & (azimuth < right)).any(axis=0)


def ring_points() -> np.ndarray:
    """Ten rings around a LiDAR that looks along +y; azimuth to the right."""
    azimuth = np.linspace(-math.pi, math.pi, 1800, endpoint=False)
    reach = np.where(on_post(azimuth), POSTS, WALL)
    rings = []
    for ring, slope in enumerate(np.linspace(-0.15, 0.2, 10)):
        columns = [reach * np.sin(azimuth), reach * np.cos(azimuth), reach * slope]
        rings.append(np.stack([*columns, np.full(1800, 50.0), np.full(1800, ring)], axis=1))
    return np.concatenate(rings).astype(np.float32)


@pytest.fixture
def frame(tmp_path: Path) -> SampledFrame:
    """A camera at the LiDAR's place, and the picture it takes."""
    for folder in ("LIDAR_TOP", "CAM_FRONT"):
        (tmp_path / "samples" / folder).mkdir(parents=True)
    ring_points().tofile(tmp_path / "samples" / "LIDAR_TOP" / "points.bin")
    columns = np.arctan((np.arange(WIDTH) - (WIDTH - 1) / 2) / FOCAL)
    picture = np.tile(np.where(on_post(columns), 60, 190).astype(np.uint8), (HEIGHT, 1))
    noise = np.random.default_rng(0).normal(0, 5, picture.shape)
    cv2.imwrite(str(tmp_path / "samples" / "CAM_FRONT" / "image.png"), (picture + noise).clip(0, 255).astype(np.uint8))
    image = {
        "img_path": "image.png",
        "cam2img": [[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]],
        "lidar2cam": [[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
    }
    info = {"token": "posts", "lidar_points": {"lidar_path": "points.bin"}, "images": {"CAM_FRONT": image}}
    return SampledFrame(info, tmp_path, {})


def test_jumps_are_on_the_near_side_alone(frame):
    edge, smooth = range_jumps(frame.points)
    # Two sides of seven posts, in ten rings.
    assert len(edge) == 140
    np.testing.assert_allclose(np.hypot(edge[:, 0], edge[:, 1]), POSTS, rtol=1e-5)
    assert len(smooth) == 18000 - 140


def test_the_order_of_points_in_the_file_does_not_matter(frame):
    shuffled = np.random.default_rng(0).permutation(frame.points)
    assert sorted(range_jumps(shuffled)[0].tolist()) == sorted(range_jumps(frame.points)[0].tolist())


def test_the_right_projection_passes(frame):
    finding = check_image_edges([frame] * 3)
    assert finding.result is Result.PASS
    assert "420 points" in finding.evidence


@pytest.mark.parametrize(("share", "words"), [(0.06, "shifted by -6.0%"), (-0.03, "shifted by +3.0%")])
def test_a_shifted_projection_fails(frame, share, words):
    frame.info["images"]["CAM_FRONT"]["cam2img"][0][2] += share * WIDTH
    finding = check_image_edges([frame] * 3)
    assert finding.result is Result.FAIL
    assert words in finding.evidence


def test_a_mirrored_projection_fails(frame):
    frame.info["images"]["CAM_FRONT"]["lidar2cam"][0][0] = -1.0
    finding = check_image_edges([frame] * 3)
    assert finding.result is Result.FAIL
    assert "mirrored fits the images better" in finding.evidence


def test_a_picture_of_one_colour_decides_nothing(frame):
    cv2.imwrite(str(frame.image_file("CAM_FRONT")), np.full((HEIGHT, WIDTH), 100, dtype=np.uint8))
    finding = check_image_edges([frame] * 3)
    assert finding.result is Result.UNVERIFIABLE
    assert "the images do not decide" in finding.evidence


def test_few_points_decide_nothing(frame):
    finding = check_image_edges([frame])
    assert finding.result is Result.UNVERIFIABLE
    assert "140 points at range jumps in the images; 200 are needed" in finding.evidence


def test_points_without_rings_are_named(frame):
    points = ring_points()
    points[:, 4] = 0
    points.tofile(frame.lidar_file)
    finding = check_image_edges([frame] * 3)
    assert finding.result is Result.UNVERIFIABLE
    assert "fifth column of the points has 1 values" in finding.evidence


def test_a_missing_image_is_named(frame):
    frame.image_file("CAM_FRONT").unlink()
    finding = check_image_edges([frame])
    assert finding.result is Result.UNVERIFIABLE
    assert "image.png does not exist" in finding.evidence
