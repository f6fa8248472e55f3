"""The hash of a sample's pictures: equal pixels, equal hashes; every pixel and the shape count."""

import numpy as np
import pytest

from ponderv2.datasets import DigestImages
from ponderv2.errors import UserError


def _digest(*images) -> str:
    return DigestImages()({"img": list(images)})["image_digest"]


def test_equal_pixels_have_equal_hashes_and_others_do_not():
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert _digest(image, image) == _digest(image.copy(), np.asfortranarray(image))
    changed = image.copy()
    changed[3, 4, 2] += 1
    others = [(image,), (image, changed), (changed, image), (image.reshape(5, 4, 3), image), (image[:, ::-1], image)]
    assert len({_digest(*images) for images in [(image, image), *others]}) == 6


def test_a_sample_without_pictures_is_one_clear_error():
    with pytest.raises(UserError, match="DigestImages comes after LoadCameras"):
        DigestImages()({})
