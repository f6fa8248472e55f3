"""The picture of a segmented sweep: colors of classes, errors, and points without a label."""

import numpy as np
import pytest
import torch

from ponderv2.datasets.lidarseg_classes import LIDARSEG_PALETTE
from ponderv2.visualization import draw_segmentation_panel

CLASSES, PALETTE = ("road", "car"), ((0, 207, 191), (255, 158, 0))
RIGHT, WRONG, GROUND = (0x8F, 0xC1, 0xE8), (0, 0, 0), (255, 255, 255)


def _disc(count: int = 4000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([80.0, 80.0, 2.0])


def _views(truth: torch.Tensor, predicted: torch.Tensor) -> list[np.ndarray]:
    picture = draw_segmentation_panel(_disc(), truth, predicted, CLASSES, PALETTE)[:560]
    return _insides(picture)


def _insides(picture: np.ndarray) -> list[np.ndarray]:
    """The three views without their frames and titles, which are black."""
    return [view[80:500, 40:-40] for view in np.array_split(picture, 3, axis=1)]


def _pixels(view: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((np.abs(view.astype(int) - color).sum(axis=2) < 24).sum())


def test_classes_and_errors_have_their_colors_each_in_its_view():
    road = torch.zeros(4000, dtype=torch.long)
    left, middle, right = _views(road, road + 1)
    assert _pixels(left, PALETTE[0]) > 200
    assert _pixels(left, PALETTE[1]) == _pixels(middle, PALETTE[0]) == 0
    assert _pixels(middle, PALETTE[1]) > 200
    assert _pixels(right, WRONG) > 200
    left, middle, right = _views(road, road)
    assert _pixels(right, WRONG) == 0


def test_points_without_a_label_are_no_error_but_are_predicted():
    nothing = torch.full((4000,), -1)
    left, middle, right = _views(nothing, nothing + 2)
    assert _pixels(middle, PALETTE[1]) > 200
    assert _pixels(left, PALETTE[1]) == _pixels(right, WRONG) == 0


@pytest.mark.parametrize("higher_is_right", [True, False])
def test_the_higher_of_two_points_covers_the_lower_one_be_it_right_or_wrong(higher_is_right):
    grid = torch.cartesian_prod(torch.arange(-40.0, 40.0, 0.25), torch.arange(-40.0, 40.0, 0.25))
    low, high = (torch.cat([grid, torch.full((len(grid), 1), z)], dim=1) for z in (0.0, 1.0))
    right = torch.cat([torch.full((len(grid),), not higher_is_right), torch.full((len(grid),), higher_is_right)])
    road = torch.zeros(len(right), dtype=torch.long)
    picture = draw_segmentation_panel(torch.cat([low, high]), road, road + ~right, CLASSES, PALETTE)[:560]
    view = _insides(picture)[2]
    seen, hidden = (RIGHT, WRONG) if higher_is_right else (WRONG, RIGHT)
    assert _pixels(view, seen) > 5_000
    assert _pixels(view, hidden) < _pixels(view, seen) / 50


def test_every_class_is_told_from_the_ground_from_errors_and_from_a_missing_label():
    for color in LIDARSEG_PALETTE:
        for other in (GROUND, WRONG, (0xD3, 0xD7, 0xDB)):
            assert np.abs(np.subtract(color, other)).max() > 60, (color, other)
