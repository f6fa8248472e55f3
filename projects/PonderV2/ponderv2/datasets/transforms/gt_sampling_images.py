"""Pictures of sampled objects in the views of a frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ponderv2.shapes import Float

from .image_boxes import image_boxes


@dataclass(frozen=True)
class ObjectPicture:
    """A picture of an object that a camera took.

    Attributes:
        camera: name of the camera it was cut from.
        box: box (x, y, z, l, w, h, yaw) of the object in the LiDAR frame, gravity centre.
        pixels: the picture itself, uint8 RGB `[h, w, 3]`.
    """

    camera: str
    box: Float[np.ndarray, "7"]
    pixels: np.ndarray


def add_pictures(results: dict, real: Float[np.ndarray, "n 7"], pictures: Sequence[ObjectPicture]) -> None:
    """Put pictures into the views they are from, and real objects that are nearer back over them.

    Everything in a view is drawn from far to near, by the depth of its centre: a picture into the rectangle of its
    box, a real object as the same rectangle of the image as it was. Rectangles, not silhouettes: as published. The
    images of `results` are replaced by copies; the published code restores nearer objects from views of the image
    that it has already painted over, which does nothing.

    Args:
        results: sample with `img`, `cameras`, `lidar2cam` and `cam2img`, not augmented.
        real: boxes (x, y, z, l, w, h, yaw) of the frame's own objects, gravity centre.
        pictures: pictures of the sampled objects; those of a camera that is not loaded, or whose box is not on the
            image, are left out.
    """
    images = list(results["img"])
    for view, camera in enumerate(results["cameras"]):
        here = [picture for picture in pictures if picture.camera == camera]
        if here:
            lidar2img = results["cam2img"][view] @ results["lidar2cam"][view]
            images[view] = _view_with(images[view], lidar2img, real, here)
    results["img"] = images


def _view_with(
    image: np.ndarray,
    lidar2img: Float[np.ndarray, "4 4"],
    real: Float[np.ndarray, "n 7"],
    pictures: list[ObjectPicture],
) -> np.ndarray:
    boxes = np.concatenate([real, [picture.box for picture in pictures]])
    places = image_boxes(boxes, lidar2img, image.shape[:2])
    canvas = image.copy()
    for k in np.argsort(-places.depth, kind="stable"):
        left, top, right, bottom = (int(edge) for edge in places.rectangles[k])
        if k < len(real):
            # Nothing where it is not on the image: the rectangle is empty.
            canvas[top:bottom, left:right] = image[top:bottom, left:right]
        elif places.whole[k]:
            canvas[top:bottom, left:right] = _resized(pictures[k - len(real)].pixels, right - left, bottom - top)
    return canvas


def _resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = height * width < pixels.shape[0] * pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
