"""The picture of a rendered sample: classes of returns and of pixels, and what is transparent."""

import numpy as np
import pytest
import torch

from ponderv2.visualization.render_panel import draw_render_panel

CLASSES, PALETTE = ("road", "car"), ((0, 207, 191), (255, 0, 158))
CAMERAS, SIZE = ("CAM_FRONT", "CAM_BACK"), (60, 100)


def _fields(opacity: float) -> dict[str, torch.Tensor]:
    shape = (2, 15, 25)
    return {
        "image_depth": torch.full(shape, 20.0),
        "image_opacity": torch.full(shape, opacity),
        "image_class": torch.ones(shape, dtype=torch.long),
    }


def _returns(count: int = 300) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(count, 2, generator=generator) * torch.tensor([100.0, 60.0])
    return [(pixels, torch.full((count,), 20.0))] * 2


def _pixels(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - color).sum(axis=2) < 12).sum())


def _drawn(opacity: float, label: int | None, classes: tuple[str, ...] = ()) -> np.ndarray:
    labels = None if label is None else [torch.full((300,), label)] * 2
    return draw_render_panel(
        CAMERAS, _fields(opacity), _returns(), SIZE, palette=PALETTE, classes=classes, labels=labels
    )


@pytest.mark.parametrize(("opacity", "shown"), [(0.9, True), (0.1, False)])
def test_a_pixel_has_its_class_where_it_is_opaque_and_is_blank_elsewhere(opacity, shown):
    picture = _drawn(opacity, None)
    assert (_pixels(picture, PALETTE[1]) > 10_000) == shown
    assert _pixels(picture, PALETTE[1]) == 0 or shown


def test_true_classes_of_returns_have_a_row_of_their_own_without_those_that_have_no_label():
    without, road, unknown = _drawn(0.9, None), _drawn(0.9, 0), _drawn(0.9, -1)
    assert road.shape[0] == unknown.shape[0] > without.shape[0] + 50
    assert _pixels(without, PALETTE[0]) == _pixels(unknown, PALETTE[0]) == 0
    assert _pixels(road, PALETTE[0]) > 100


def test_the_legend_has_the_color_of_a_class_that_is_nowhere_in_the_picture():
    assert _pixels(_drawn(0.9, None, CLASSES), PALETTE[0]) > 10
    assert _pixels(_drawn(0.9, None), PALETTE[0]) == 0


def test_features_have_a_row_for_the_image_branch_and_one_for_what_was_rendered():
    fields = _fields(0.9)
    del fields["image_class"]
    plain = draw_render_panel(CAMERAS, fields, _returns(), SIZE)
    colors = (torch.tensor([0.2, 0.6, 0.9]), torch.tensor([0.9, 0.1, 0.5]))
    features = [color.expand(2, 15, 25, 3) for color in colors]
    names = ("target_image_features", "image_features")
    picture = draw_render_panel(CAMERAS, fields | dict(zip(names, features, strict=True)), _returns(), SIZE)
    assert picture.shape[0] > plain.shape[0] + 100
    places = [(np.abs(picture - 255.0 * color.numpy()).sum(axis=2) < 12) for color in colors]
    assert all(found.sum() > 10_000 for found in places)
    above, below = (np.flatnonzero(found.any(axis=1)).mean() for found in places)
    assert above < below
