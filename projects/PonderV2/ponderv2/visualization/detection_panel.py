"""The panel of a detector's sample: boxes that were found beside the true ones, from above and in the images."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from ponderv2.geometry import box_corners, transform_points
from ponderv2.shapes import Float

from .picture import figure_to_array, order_of, title_of

_TRUE, _FOUND = "#35d07f", "#ff9f1c"
_BACKGROUND = "#101418"
_EDGES = ((0, 1), (1, 3), (3, 2), (2, 0), (4, 5), (5, 7), (7, 6), (6, 4), (0, 4), (1, 5), (2, 6), (3, 7))
_NEAREST = 0.5


def draw_detection_panel(
    images: Tensor,
    cameras: Sequence[str],
    lidar2img: Float[Tensor, "n 4 4"],
    points: Float[Tensor, "p c"],
    true_boxes: Float[Tensor, "t 7"],
    found_boxes: Float[Tensor, "f 7"],
    title: str = "",
    reach: float = 54.0,
) -> np.ndarray:
    """Draw LiDAR points and boxes from above, and the boxes in the images of the cameras.

    Boxes are (x, y, z, l, w, h, yaw) in the LiDAR frame, with their gravity centre. A line from the centre of a box to
    its front shows its heading. An edge that passes behind a camera is cut 0.5 m in front of it.

    Args:
        images: RGB images of the N cameras, uint8 `[N, 3, H, W]`.
        cameras: their names.
        lidar2img: LiDAR frame to pixels of these images.
        points: LiDAR points, metres; the first two columns are x and y, the third is z.
        true_boxes: annotated boxes, drawn in green.
        found_boxes: predicted boxes, drawn in orange.
        title: text above the view from above.
        reach: half the side of the view from above, metres.

    Returns:
        An RGB picture, uint8 `[H, W, 3]`. In the view from above x points right and y up, which is ahead in nuScenes.
    """
    order = order_of(cameras)
    columns = -(-len(order) // 2)
    height, width = images.shape[-2:]
    side = 5.4
    figure = Figure(figsize=(side + columns * side / 2 * width / height, side + 0.5), dpi=100, layout="constrained")
    grid = figure.add_gridspec(2, columns + 1, width_ratios=[2 * height / width] + [1.0] * columns)
    kinds = ((true_boxes, _TRUE, "true"), (found_boxes, _FOUND, "predicted"))
    above = figure.add_subplot(grid[:, 0])
    _draw_from_above(above, points, kinds, reach)
    above.set_title(title, fontsize=10)
    for place, camera in enumerate(order):
        axis = figure.add_subplot(grid[place // columns, 1 + place % columns])
        axis.imshow(images[camera].permute(1, 2, 0).numpy())
        axis.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
        axis.set_title(title_of(cameras[camera]), fontsize=10)
        for boxes, color, _ in kinds:
            edges = project_edges(boxes, lidar2img[camera])
            # One collection draws ten times faster than as many lines.
            axis.add_collection(LineCollection(edges.numpy(), colors=color, linewidths=1.0), autolim=False)
    return figure_to_array(figure)


def project_edges(
    boxes: Float[Tensor, "b 7"], lidar2img: Float[Tensor, "4 4"], nearest: float = _NEAREST
) -> Float[Tensor, "e 2 2"]:
    """Project the edges of boxes into an image.

    Args:
        boxes: (x, y, z, l, w, h, yaw), gravity centre.
        lidar2img: LiDAR frame to pixels.
        nearest: depth in metres at which an edge that goes on behind the camera is cut.

    Returns:
        Two pixels (u, v) for each edge that has a part in front of the camera; they may lie outside the image.
    """
    corners = transform_points(lidar2img.double(), box_corners(boxes.double()).reshape(-1, 3)).reshape(-1, 8, 3)
    ends = corners[:, torch.tensor(_EDGES)].reshape(-1, 2, 3)
    ends = ends[(ends[..., 2] > nearest).any(dim=1)]
    turned = (ends[:, 0, 2] > ends[:, 1, 2])[:, None, None]
    near, far = torch.where(turned, ends.flip(1), ends).unbind(dim=1)
    share = ((nearest - near[:, 2]) / (far[:, 2] - near[:, 2]).clamp(min=1e-9)).clamp(min=0.0)
    near = near + share[:, None] * (far - near)
    both = torch.stack([near, far], dim=1)
    return both[..., :2] / both[..., 2:]


def _draw_from_above(axis: Axes, points: Tensor, kinds: Sequence[tuple[Tensor, str, str]], reach: float) -> None:
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    axis.set_facecolor(_BACKGROUND)
    order = points[:, 2].argsort()
    axis.scatter(*points[order, :2].T, c=points[order, 2], cmap="gray", vmin=-4.0, vmax=4.0, s=0.7, linewidths=0)
    axis.plot(0.0, 0.0, marker="+", color="white")
    for boxes, color, name in kinds:
        corners = box_corners(boxes.double())[..., :2]
        headings = torch.stack([boxes[:, :2].double(), corners[:, [1, 3]].mean(dim=1)], dim=1)
        for lines in (corners[:, [0, 1, 3, 2, 0]], headings):
            axis.add_collection(LineCollection(lines.numpy(), colors=color, linewidths=1.1), autolim=False)
        axis.plot([], [], color=color, linewidth=3, label=f"{name} ({len(boxes)})")
    axis.legend(loc="upper left", fontsize=8, facecolor=_BACKGROUND, edgecolor="#444444", labelcolor="white")
