"""The picture of a segmented sweep: colors of classes, errors, and points without a label."""

import numpy as np
import torch

from ponderv2.visualization import draw_segmentation_panel

CLASSES, PALETTE = ("road", "car"), ((0, 207, 191), (255, 158, 0))
WRONG = (0xFF, 0x4D, 0x4D)


def _disc(count: int = 4000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([80.0, 80.0, 2.0])


def _views(truth: torch.Tensor, predicted: torch.Tensor) -> list[np.ndarray]:
    picture = draw_segmentation_panel(_disc(), truth, predicted, CLASSES, PALETTE)[:560]
    return np.array_split(picture, 3, axis=1)


def _pixels(view: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((np.abs(view.astype(int) - color).sum(axis=2) < 24).sum())


def test_classes_and_errors_have_their_colors_each_in_its_view():
    road = torch.zeros(4000, dtype=torch.long)
    left, middle, right = _views(road, road + 1)
    assert _pixels(left, PALETTE[0]) > 500
    assert _pixels(left, PALETTE[1]) == _pixels(middle, PALETTE[0]) == 0
    assert _pixels(middle, PALETTE[1]) > 500
    assert _pixels(right, WRONG) > 500
    left, middle, right = _views(road, road)
    assert _pixels(right, WRONG) == 0


def test_points_without_a_label_are_no_error_but_are_predicted():
    nothing = torch.full((4000,), -1)
    left, middle, right = _views(nothing, nothing + 2)
    assert _pixels(middle, PALETTE[1]) > 500
    assert _pixels(left, PALETTE[1]) == _pixels(right, WRONG) == 0
