"""GridMask: the pattern of each mode, its share, and one mask for all views."""

import numpy as np
import pytest

from ponderv2.datasets import MultiViewGridMask


def views(count: int = 3, height: int = 60, width: int = 80) -> dict:
    rng = np.random.default_rng(1)
    return {"img": [rng.integers(0, 100, (height, width, 3)).astype(np.uint8) for _ in range(count)]}


def hidden_by(mask: MultiViewGridMask, size: tuple[int, int], period: int, offsets: tuple[int, int]) -> np.ndarray:
    """Which pixels of a black image get the mean colour."""
    hidden = mask.masked(np.zeros((*size, 3), dtype=np.uint8), period, offsets)
    assert ((hidden == mask.color).all(axis=-1) | (hidden == 0).all(axis=-1)).all()
    return hidden.any(axis=-1)


def by_loops(size: tuple[int, int], period: int, offsets: tuple[int, int], ratio: float, mode: int) -> np.ndarray:
    """Which pixels are hidden, pixel by pixel."""
    bar = round(period * ratio)
    hidden = np.zeros(size, dtype=bool)
    for row in range(size[0]):
        for column in range(size[1]):
            in_row = (row - offsets[0]) % period < bar
            in_column = (column - offsets[1]) % period < bar
            hidden[row, column] = not (in_row or in_column) if mode == 1 else in_row or in_column
    return hidden


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize(("ratio", "period", "offsets"), [(0.5, 8, (3, 0)), (0.25, 12, (0, 5)), (0.5, 10, (9, 9))])
def test_the_pattern_is_that_of_plain_loops(mode, ratio, period, offsets):
    mask = MultiViewGridMask(ratio=ratio, mode=mode)
    hidden = hidden_by(mask, (29, 43), period, offsets)
    np.testing.assert_array_equal(hidden, by_loops((29, 43), period, offsets, ratio, mode))


@pytest.mark.parametrize(
    ("options", "share"),
    [
        (dict(ratio=0.5, mode=1), 0.25),
        (dict(ratio=0.5, mode=0), 0.75),
        (dict(ratio=0.25, mode=1), 0.5625),
        (dict(ratio=0.25, mode=0, use_w=False), 0.25),
        (dict(ratio=0.25, mode=1, use_h=False), 0.75),
    ],
)
def test_the_share_of_whole_periods_is_exact(options, share):
    hidden = hidden_by(MultiViewGridMask(**options), (48, 80), 8, (3, 6))
    assert hidden.mean() == share


def test_mode_1_hides_squares_and_leaves_a_grid():
    hidden = hidden_by(MultiViewGridMask(ratio=0.5, mode=1), (20, 20), 10, (0, 0))
    expected = np.zeros((20, 20), dtype=bool)
    for row in (5, 15):
        for column in (5, 15):
            expected[row : row + 5, column : column + 5] = True
    np.testing.assert_array_equal(hidden, expected)


def test_all_views_share_a_mask_and_hidden_pixels_get_the_mean_colour():
    np.random.seed(0)
    mean = (200.4, 201.6, 202.0)
    before = views()
    after = MultiViewGridMask(prob=1.0, mean=mean)({"img": list(before["img"])})["img"]
    hidden = [(image == (200, 202, 202)).all(axis=-1) for image in after]
    assert 0.05 < hidden[0].mean() < 0.6
    for view in range(3):
        np.testing.assert_array_equal(hidden[view], hidden[0])
        np.testing.assert_array_equal(after[view][~hidden[view]], before["img"][view][~hidden[view]])
        assert after[view].dtype == np.uint8


def test_hidden_pixels_are_near_zero_after_normalisation():
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    np.random.seed(1)
    (masked,) = MultiViewGridMask(prob=1.0)({"img": [image]})["img"]
    hidden = masked.any(axis=-1)
    normalised = (masked[hidden] - np.array([123.675, 116.28, 103.53])) / np.array([58.395, 57.12, 57.375])
    assert hidden.any()
    assert np.abs(normalised).max() < 0.01


def test_images_are_not_written_to():
    before = views()
    copies = [image.copy() for image in before["img"]]
    np.random.seed(0)
    MultiViewGridMask(prob=1.0)({"img": list(before["img"])})
    for image, copy in zip(before["img"], copies, strict=True):
        np.testing.assert_array_equal(image, copy)


def test_as_many_samples_are_masked_as_the_probability_says():
    np.random.seed(0)
    mask = MultiViewGridMask(prob=0.7)
    image = np.zeros((12, 12, 3), dtype=np.uint8)
    changed = [mask({"img": [image]})["img"][0].any() for _ in range(500)]
    # A period of 2 hides something in 12 pixels whatever the offset.
    assert 0.63 < np.mean(changed) < 0.77


def test_switched_off_it_does_nothing():
    mask = MultiViewGridMask(prob=1.0)
    mask.switch.set(False)
    before = views()
    assert mask(before)["img"] is before["img"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(prob=1.5), "prob: expected a probability, got 1.5"),
        (dict(ratio=1.0), r"ratio: expected a share in \(0, 1\), got 1.0"),
        (dict(mode=2), "mode: expected 0 or 1, got 2"),
        (dict(use_h=False, use_w=False), "use_h and use_w: expected at least one"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        MultiViewGridMask(**options)
