"""Boxes in pictures: where their edges land, and that both kinds are drawn."""

import numpy as np
import torch

from ponderv2.geometry import box_corners, project
from ponderv2.visualization import draw_detection_panel
from ponderv2.visualization.detection_panel import project_edges

AHEAD = torch.tensor([[0.3, -0.2, 9.0, 4.0, 2.0, 1.5, 0.4]], dtype=torch.float64)
# A camera at the origin that looks along z, with a focal length of 50 pixels.
CAMERA = torch.tensor([[50.0, 0, 32, 0], [0, 50, 18, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64)
GREEN, ORANGE = (0x35, 0xD0, 0x7F), (0xFF, 0x9F, 0x1C)


def test_edges_of_a_box_ahead_join_neighbouring_corners():
    edges = project_edges(AHEAD, CAMERA)
    corners, _ = project(box_corners(AHEAD)[0], CAMERA)
    assert edges.shape == (12, 2, 2)
    ends = torch.cdist(edges.reshape(-1, 2), corners).argmin(dim=1)
    torch.testing.assert_close(edges.reshape(-1, 2), corners[ends])
    pairs = {tuple(sorted(pair)) for pair in ends.reshape(-1, 2).tolist()}
    # Corners whose numbers differ in one bit share an edge.
    assert pairs == {(a, b) for b in range(8) for a in range(b) if (a ^ b).bit_count() == 1}


def test_edges_that_pass_behind_the_camera_are_cut_in_front_of_it():
    around = torch.tensor([[0.0, 0.0, 0.0, 2.0, 2.0, 6.0, 0.0]])
    edges = project_edges(around, CAMERA, nearest=0.5)
    # Four edges along z, from 0.5 m to 3 m, and the four of the front.
    assert edges.shape == (8, 2, 2)
    assert edges.isfinite().all()
    u = (edges[..., 0] - 32).abs()
    torch.testing.assert_close(u.amax(), torch.tensor(50 / 0.5, dtype=torch.float64))
    torch.testing.assert_close(u.amin(), torch.tensor(50 / 3, dtype=torch.float64))


def test_a_box_behind_the_camera_has_no_edges():
    assert project_edges(AHEAD * torch.tensor([1, 1, -1, 1, 1, 1, 1]), CAMERA).shape == (0, 2, 2)


def _panel(true: torch.Tensor, found: torch.Tensor, cameras: int = 6) -> np.ndarray:
    images = torch.zeros(cameras, 3, 36, 64, dtype=torch.uint8)
    points = torch.rand(50, 5) * 40 - 20
    names = [f"CAM_{k}" for k in range(cameras)]
    return draw_detection_panel(images, names, CAMERA.expand(cameras, 4, 4), points, true, found)


def _has(picture: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((np.abs(picture.astype(int) - color).max(axis=-1) < 8).any())


def test_true_and_found_boxes_are_drawn_in_the_images():
    none = torch.zeros(0, 7)
    without = _panel(none, none)
    # Right of the view from above, which has a legend.
    images = slice(without.shape[0], None)
    for true, found, color in ((AHEAD.float(), none, GREEN), (none, AHEAD.float(), ORANGE)):
        assert _has(_panel(true, found)[:, images], color)
        assert not _has(without[:, images], color)


def test_any_number_of_cameras_makes_a_picture():
    for cameras in (1, 5):
        picture = _panel(AHEAD.float(), AHEAD.float(), cameras)
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[-1] == 3
