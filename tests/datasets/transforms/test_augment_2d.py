"""Image augmentation keeps track of where each pixel came from."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ponderv2.datasets import MultiViewPhotometricDistortion, MultiViewResizeCropFlipRotate
from ponderv2.geometry import sample_image

HEIGHT, WIDTH = 120, 200


def smooth_picture(phase: float = 0.0) -> np.ndarray:
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    waves = [
        np.sin(u / 16 + v / 25 + phase),
        np.cos(u / 22 - v / 17 + phase),
        np.sin(v / 15 + u / 40 + phase),
    ]
    return np.rint(127 + 110 * np.stack(waves, axis=-1)).astype(np.uint8)


def sample(views: int = 2, images: bool = True, white: bool = False) -> dict:
    results = {
        "image_sizes": np.array([[HEIGHT, WIDTH]] * views),
        "img_aug": np.tile(np.eye(4), (views, 1, 1)),
    }
    if images:
        results["img"] = [smooth_picture(k) if not white else smooth_picture() * 0 + 255 for k in range(views)]
    return results


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float64))


def moved(matrix: np.ndarray, pixels: torch.Tensor) -> torch.Tensor:
    uv1 = torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1)
    return (uv1 @ torch.from_numpy(matrix[:3, :3]).T)[:, :2]


def differences(
    before: np.ndarray, after: np.ndarray, matrix: np.ndarray, whitened: np.ndarray | None = None
) -> torch.Tensor:
    """Of grey levels before and after, at random places away from borders and from uncovered corners.

    `whitened` is what the augmentation makes of a white image: it is black where nothing covers the result.
    """
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(4000, 2, generator=generator, dtype=torch.float64) * torch.tensor([WIDTH - 9, HEIGHT - 9]) + 4
    there = moved(matrix, places)
    height, width = after.shape[:2]
    inside = ((there > 3) & (there < torch.tensor([width - 4, height - 4]))).all(dim=1)
    if whitened is not None:
        covered = cv2.erode(whitened, np.ones((7, 7), np.uint8))
        inside &= sample_image(tensor(covered), there)[:, 0] > 254
    return sample_image(tensor(after), there[inside]) - sample_image(tensor(before), places[inside])


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([(90, 160), (100, 100), (150, 260)]),
    st.sampled_from([(0.8, 0.8), (0.6, 1.4), (1.0, 1.0)]),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([(0.0, 0.0), (-0.4, 0.4)]),
)
def test_content_at_a_pixel_is_found_at_the_pixel_the_matrix_names(seed, final_size, resize, flip, rotate):
    np.random.seed(seed)
    augment = MultiViewResizeCropFlipRotate(final_size, resize, (0.0, 1.0), flip, rotate)
    results = augment(sample())
    np.random.seed(seed)
    whitened = augment(sample(white=True))["img"]
    for view in range(2):
        assert results["img"][view].shape == (*final_size, 3)
        found = differences(smooth_picture(view), results["img"][view], results["img_aug"][view], whitened[view])
        assert len(found) > 500
        assert found.abs().max() < 4
        assert found.abs().mean() < 0.8


def test_the_comparison_above_would_see_half_a_pixel():
    for shift in ((0.5, 0.0), (0.0, 0.5)):
        wrong = np.eye(4)
        wrong[:2, 2] = shift
        found = differences(smooth_picture(), smooth_picture(), wrong)
        assert found.abs().mean() > 1.2


def test_a_mirrored_view_is_the_mirror_image():
    results = MultiViewResizeCropFlipRotate(flip=1.0)(sample())
    for view in range(2):
        np.testing.assert_array_equal(results["img"][view], smooth_picture(view)[:, ::-1])


def test_a_crop_is_a_window_and_one_keeps_the_bottom():
    bottom = MultiViewResizeCropFlipRotate(final_size=(80, 100), crop=(1.0, 1.0))(sample())
    top = MultiViewResizeCropFlipRotate(final_size=(80, 100), crop=(0.0, 0.0))(sample())
    # With a fixed resize the window is in the middle of the columns.
    np.testing.assert_array_equal(bottom["img"][0], smooth_picture()[40:, 50:150])
    np.testing.assert_array_equal(top["img"][0], smooth_picture()[:80, 50:150])


def test_a_window_larger_than_the_image_is_filled_with_black():
    results = MultiViewResizeCropFlipRotate(final_size=(140, 220))(sample())
    image = results["img"][0]
    np.testing.assert_array_equal(image[20:, 10:210], smooth_picture())
    assert (image[:20] == 0).all()
    assert (image[:, :10] == 0).all()
    assert (image[:, 210:] == 0).all()


def test_calibration_alone_takes_the_same_draws_as_with_images():
    augment = MultiViewResizeCropFlipRotate((90, 160), (0.6, 1.2), (0.0, 1.0), 0.5, (-0.2, 0.2))
    np.random.seed(5)
    with_images = augment(sample(6))
    np.random.seed(5)
    without = augment(sample(6, images=False))
    assert "img" not in without
    np.testing.assert_array_equal(with_images["img_aug"], without["img_aug"])
    assert without["image_sizes"].tolist() == [[90, 160]] * 6


def test_every_view_has_a_draw_of_its_own():
    np.random.seed(0)
    results = MultiViewResizeCropFlipRotate((90, 160), (0.6, 1.2))(sample(6, images=False))
    assert len({matrix.tobytes() for matrix in results["img_aug"]}) == 6


def test_sizes_are_rounded_to_whole_pixels_and_the_matrix_knows():
    results = MultiViewResizeCropFlipRotate(resize=(0.33, 0.33))(sample())
    assert results["img"][0].shape == (40, 66, 3)
    assert results["image_sizes"].tolist() == [[40, 66]] * 2
    corner = moved(results["img_aug"][0], torch.tensor([[WIDTH - 0.5, HEIGHT - 0.5]], dtype=torch.float64))
    torch.testing.assert_close(corner, torch.tensor([[65.5, 39.5]], dtype=torch.float64))


def test_two_augmentations_compose():
    def both(results: dict) -> dict:
        np.random.seed(0)
        results = MultiViewResizeCropFlipRotate((100, 180), (0.8, 1.1), flip=1.0)(results)
        return MultiViewResizeCropFlipRotate((90, 150), rotate=(0.1, 0.2))(results)

    results, whitened = both(sample()), both(sample(white=True))["img"]
    found = differences(smooth_picture(1), results["img"][1], results["img_aug"][1], whitened[1])
    assert len(found) > 500
    assert found.abs().mean() < 0.9


def test_a_range_of_sizes_needs_a_final_size():
    with pytest.raises(ValueError, match=r"resize: a range \(0\.5, 1\.0\) gives images of many sizes; set final_size"):
        MultiViewResizeCropFlipRotate(resize=(0.5, 1.0))


def test_distortion_keeps_shape_and_type_and_the_originals():
    np.random.seed(0)
    originals = [smooth_picture(k) for k in range(3)]
    copies = [image.copy() for image in originals]
    results = MultiViewPhotometricDistortion()({"img": originals})
    assert [(i.shape, i.dtype) for i in results["img"]] == [((HEIGHT, WIDTH, 3), np.dtype(np.uint8))] * 3
    for original, copy in zip(originals, copies, strict=True):
        np.testing.assert_array_equal(original, copy)


def test_equal_views_are_distorted_differently_and_a_seed_repeats_it():
    def distorted() -> list[np.ndarray]:
        np.random.seed(4)
        return MultiViewPhotometricDistortion()({"img": [smooth_picture()] * 4})["img"]

    first, again = distorted(), distorted()
    assert len({image.tobytes() for image in first}) == 4
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_distortion_without_any_strength_changes_nothing_but_channel_order():
    # With these ranges only the swap of channels is left to chance.
    calm = {
        "brightness_delta": 0,
        "contrast_range": (1.0, 1.0),
        "saturation_range": (1.0, 1.0),
        "hue_delta": 0,
    }
    np.random.seed(0)
    for image in MultiViewPhotometricDistortion(**calm)({"img": [smooth_picture()] * 6})["img"]:
        swapped = np.sort(image, axis=-1).astype(int) - np.sort(smooth_picture(), axis=-1)
        assert np.abs(swapped).max() <= 1
