"""The rectangles that 3-D boxes cover in an image."""

from dataclasses import dataclass

import numpy as np
import torch

from ponderv2.geometry import box_corners, transform_points
from ponderv2.shapes import Bool, Float, Int

NEAR = 0.1
"""Depth in metres along the optical axis; the part of a box that is nearer, or behind the camera, is cut off."""

_EDGES = [(a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit]
"""Pairs of corners in the order of `geometry.box_corners`."""


@dataclass(frozen=True)
class ImageBoxes:
    """Rectangles around projected boxes.

    Attributes:
        rectangles: whole pixels (left, top, right, bottom), cut at the border of the image, the last two exclusive.
        depth: depth of the boxes' centres in metres along the optical axis.
        seen: whether a part of a box is on the image.
        whole: whether, besides, all of the box is in front of the camera.
    """

    rectangles: Int[np.ndarray, "n 4"]
    depth: Float[np.ndarray, "n"]
    seen: Bool[np.ndarray, "n"]
    whole: Bool[np.ndarray, "n"]

    @property
    def sides(self) -> Int[np.ndarray, "n 2"]:
        """The width and height of each rectangle in pixels; 0 where nothing is on the image."""
        return (self.rectangles[:, 2:] - self.rectangles[:, :2]) * self.seen[:, None]


def image_boxes(
    boxes: Float[np.ndarray, "n 7"], lidar2img: Float[np.ndarray, "4 4"], image_size: tuple[int, int]
) -> ImageBoxes:
    """Compute the rectangles of the pixels that boxes of the LiDAR frame touch.

    Args:
        boxes: boxes (x, y, z, l, w, h, yaw) with gravity centres, in metres and radians.
        lidar2img: matrix from the LiDAR frame to `(u * d, v * d, d, 1)`.
        image_size: (height, width) of the image in pixels.
    """
    height, width = image_size
    matrix = torch.from_numpy(np.asarray(lidar2img, dtype=np.float64))
    boxes = torch.from_numpy(np.asarray(boxes, dtype=np.float64))
    corners = transform_points(matrix.expand(len(boxes), 4, 4), box_corners(boxes))
    in_front = corners[..., 2] >= NEAR
    # Where an edge goes through the near plane: interpolated before the division by depth.
    first, second = (corners[:, [edge[end] for edge in _EDGES]] for end in range(2))
    gap = second[..., 2] - first[..., 2]
    share = (NEAR - first[..., 2]) / torch.where(gap == 0, 1.0, gap)
    crossings = first + share[..., None] * (second - first)
    crosses = in_front[:, [a for a, _ in _EDGES]] != in_front[:, [b for _, b in _EDGES]]
    points, shown = torch.cat([corners, crossings], dim=1), torch.cat([in_front, crosses], dim=1)
    pixels = points[..., :2] / torch.where(shown, points[..., 2], 1.0)[..., None]
    lower = torch.where(shown[..., None], pixels, torch.inf).amin(dim=1)
    upper = torch.where(shown[..., None], pixels, -torch.inf).amax(dim=1)
    # Pixel k covers [k - 0.5, k + 0.5).
    size = lower.new_tensor([width, height])
    lower = torch.floor(lower + 0.5).clamp(min=0).minimum(size)
    upper = (torch.floor(upper + 0.5) + 1).clamp(min=0).minimum(size)
    seen = (upper > lower).all(dim=1)
    depth = transform_points(matrix, boxes[:, :3])[:, 2]
    return ImageBoxes(
        rectangles=torch.cat([lower, upper], dim=1).long().numpy(),
        depth=depth.numpy(),
        seen=seen.numpy(),
        whole=(seen & in_front.all(dim=1)).numpy(),
    )
