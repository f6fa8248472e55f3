"""Pictures of annotated objects for ground-truth sampling in images."""

from pathlib import Path

import cv2
import numpy as np

from ponderv2.datasets.transforms.image_boxes import image_boxes
from ponderv2.datasets.transforms.loading import LoadCameras
from ponderv2.errors import UserError
from ponderv2.shapes import Float

from .nuscenes_tables import PreparationError

MIN_SIDE = 10
"""Number of pixels that both sides of a crop must exceed; published."""

JPEG_QUALITY = 95


class FrameCrops:
    """The images of a key frame, from which pictures of its objects are cut.

    The published code means to keep the largest crop over the cameras and keeps that of the last camera, as it
    never notes the largest area; and it looks at the wrong axis to find out what is behind a camera.

    Args:
        root: folder of the data set.
        frame: entry of the key frame in an info file.

    Raises:
        PreparationError: an image is missing or damaged.
    """

    def __init__(self, root: Path, frame: dict) -> None:
        images = {
            name: image | {"img_path": str(root / "samples" / name / image["img_path"])}
            for name, image in frame["images"].items()
        }
        results = {"info_name": f"key frame {frame['token']}", "images": images}
        try:
            results = LoadCameras(cameras=tuple(images))(results)
        except UserError as error:
            raise PreparationError(str(error)) from error
        self.cameras: tuple[str, ...] = results["cameras"]
        self.images: list[np.ndarray] = results["img"]
        self.lidar2img = results["cam2img"] @ results["lidar2cam"]

    def cut(self, boxes: Float[np.ndarray, "n 7"]) -> list[tuple[dict, bytes] | None]:
        """Cut the largest picture of each box, over the cameras that have all of it in front of them.

        Args:
            boxes: boxes (x, y, z, l, w, h, yaw) of the LiDAR frame, gravity centre.

        Returns:
            For each box its camera, rectangle and depth (see `GroundTruthDatabase`), and a JPEG file; None for boxes
            without a rectangle that is large enough.
        """
        views = [
            image_boxes(boxes, matrix, image.shape[:2])
            for matrix, image in zip(self.lidar2img, self.images, strict=True)
        ]
        found: list[tuple[dict, bytes] | None] = []
        for k in range(len(boxes)):
            usable = [v for v, view in enumerate(views) if view.whole[k] and view.sides[k].min() > MIN_SIDE]
            if not usable:
                found.append(None)
                continue
            v = max(usable, key=lambda v: int(views[v].sides[k].prod()))
            left, top, right, bottom = (int(edge) for edge in views[v].rectangles[k])
            where = {
                "camera": self.cameras[v],
                "box": [left, top, right, bottom],
                "depth": float(views[v].depth[k]),
            }
            found.append((where, _jpeg(self.images[v][top:bottom, left:right])))
        return found


def _jpeg(picture: np.ndarray) -> bytes:
    # Lossless files would be four times as large (real key frame: 15 against 3.7 kB an object).
    written, content = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not written:
        raise ValueError(f"a picture of shape {picture.shape} cannot be written as JPEG")
    return content.tobytes()
