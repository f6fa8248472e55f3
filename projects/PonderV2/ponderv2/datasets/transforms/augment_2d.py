"""Augmentation of images, view by view; it records where each pixel came from."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import PhotoMetricDistortion

from ponderv2.geometry import image_crop, image_flip, image_resize, image_rotate
from ponderv2.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MultiViewResizeCropFlipRotate(BaseTransform):
    """Resize, crop, flip and rotate each view, with a draw of its own; `img_aug` records it.

    All views end with the same size. Where no images were decoded, the transform changes the calibration alone.

    Args:
        final_size: (height, width) of the result; None keeps the size that `resize` gives (then `resize` must
            be a single factor).
        resize: (low, high) of the factor of the original size.
        crop: (low, high) in [0, 1] of the place of the crop window between the top and the bottom of what is left
            over; 1 keeps the bottom. Left and right are drawn evenly, or centred when `resize` is fixed.
        flip: probability of mirroring left and right.
        rotate: (low, high) of the angle in radians, counter-clockwise, about the centre; uncovered pixels are black.

    Raises:
        ValueError: `resize` is a range, and no `final_size` is given.
    """

    def __init__(
        self,
        final_size: tuple[int, int] | None = None,
        resize: tuple[float, float] = (1.0, 1.0),
        crop: tuple[float, float] = (1.0, 1.0),
        flip: float = 0.0,
        rotate: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.final_size = None if final_size is None else tuple(final_size)
        self.resize, self.crop, self.rotate = tuple(resize), tuple(crop), tuple(rotate)
        self.flip = flip
        if self.final_size is None and self.resize[0] != self.resize[1]:
            raise ValueError(f"resize: a range {self.resize} gives images of many sizes; set final_size")

    def transform(self, results: dict) -> dict:
        images = results.get("img")
        for view, size in enumerate(results["image_sizes"]):
            image = None if images is None else images[view]
            image, matrix, size = self._one_view(image, int(size[0]), int(size[1]))
            if images is not None:
                images[view] = image
            results["img_aug"][view] = matrix @ results["img_aug"][view]
            results["image_sizes"][view] = size
        return results

    def _one_view(
        self, image: np.ndarray | None, height: int, width: int
    ) -> tuple[np.ndarray | None, np.ndarray, tuple[int, int]]:
        factor = np.random.uniform(*self.resize)
        new_height, new_width = round(height * factor), round(width * factor)
        # The exact factors after rounding to whole pixels.
        matrix = image_resize(new_width / width, new_height / height)
        if image is not None and (new_height, new_width) != (height, width):
            shrinks = new_height < height
            method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            image = cv2.resize(image, (new_width, new_height), interpolation=method)
        final_height, final_width = self.final_size or (new_height, new_width)

        top = round(np.random.uniform(*self.crop) * (new_height - final_height))
        share = 0.5 if self.resize[0] == self.resize[1] else np.random.uniform()
        left = round(share * (new_width - final_width))
        matrix = image_crop(left, top) @ matrix
        if image is not None:
            image = _crop(image, left, top, final_height, final_width)
        if np.random.rand() < self.flip:
            matrix = image_flip(final_width) @ matrix
            image = None if image is None else np.ascontiguousarray(image[:, ::-1])
        angle = np.random.uniform(*self.rotate)
        if angle:
            turn = image_rotate(angle, final_width, final_height)
            matrix = turn @ matrix
            if image is not None:
                affine = turn[:2, :3].numpy()
                image = cv2.warpAffine(image, affine, (final_width, final_height), flags=cv2.INTER_LINEAR)
        return image, matrix.numpy(), (final_height, final_width)


def _crop(image: np.ndarray, left: int, top: int, height: int, width: int) -> np.ndarray:
    """A window of the image; what lies outside is black."""
    window = np.zeros((height, width, image.shape[2]), dtype=image.dtype)
    rows = slice(max(top, 0), min(top + height, image.shape[0]))
    columns = slice(max(left, 0), min(left + width, image.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        window[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = image[rows, columns]
    return window


@TRANSFORMS.register_module()
class MultiViewPhotometricDistortion(BaseTransform):
    """Distort the colours of uint8 RGB images by mmdet's `PhotoMetricDistortion`, drawn anew for each view.

    Rays that are sampled after it have the distorted colours as targets.

    Args:
        **kwargs: arguments of mmdet's transform.
    """

    def __init__(self, **kwargs) -> None:
        self.distort = PhotoMetricDistortion(**kwargs)

    def transform(self, results: dict) -> dict:
        distorted = []
        for image in results["img"]:
            # mmdet works on BGR floats.
            bgr = self.distort({"img": image[..., ::-1].astype(np.float32)})["img"]
            distorted.append(np.ascontiguousarray(np.rint(bgr.clip(0, 255))[..., ::-1].astype(np.uint8)))
        results["img"] = distorted
        return results
