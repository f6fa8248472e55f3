"""Pictures to look at: real against rendered colour and depth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ponderv2.geometry import visible_returns

_LEFT_TO_RIGHT = (
    "CAM_FRONT_LEFT",
    "CAM_FRONT",
    "CAM_FRONT_RIGHT",
    "CAM_BACK_RIGHT",
    "CAM_BACK",
    "CAM_BACK_LEFT",
)
"""Around the car, as one would turn one's head."""


def draw_render_panel(
    cameras: Sequence[str],
    fields: dict[str, Tensor],
    returns: Sequence[tuple[Tensor, Tensor]],
    image_size: tuple[int, int],
    max_depth: float = 50.0,
) -> np.ndarray:
    """One column a camera: the real image, the rendered one, LiDAR returns, rendered depth.

    Args:
        cameras: names of the N cameras.
        fields: of one sample, from `RenderingPretrainer.render_images`: `image_depth` `[N, h, w]` and, where
            there is colour, `image` and `target_image` `[N, h, w, 3]`.
        returns: a camera each, pixels (u, v) `[P, 2]` and distances `[P]` in metres of its LiDAR returns.
        image_size: (height, width) of the images that these pixels belong to.
        max_depth: end of the colour scale, metres.

    Returns:
        An RGB picture, uint8 `[H, W, 3]`.
    """
    order = sorted(range(len(cameras)), key=lambda k: _rank(cameras[k]))
    rows = ["LiDAR returns", "rendered depth"]
    if "image" in fields:
        rows = ["real", "rendered", *rows]
    height, width = image_size
    figure = Figure(figsize=(3.2 * len(order), 3.2 * height / width * len(rows) + 0.6), dpi=100, layout="constrained")
    axes = figure.subplots(len(rows), len(order), squeeze=False)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    scale = {"cmap": "turbo", "vmin": 0.0, "vmax": max_depth}
    for column, camera in enumerate(order):
        for row, name in enumerate(rows):
            axis = axes[row, column]
            axis.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])
            if row == 0:
                axis.set_title(cameras[camera].removeprefix("CAM_").replace("_", " ").lower(), fontsize=10)
            if column == 0:
                axis.set_ylabel(name, fontsize=10)
            if name == "LiDAR returns":
                pixels, distance = returns[camera]
                axis.set_facecolor("black")
                axis.set_aspect("equal")
                axis.scatter(pixels[:, 0], pixels[:, 1], c=distance, s=1.5, linewidths=0, **scale)
            elif name == "rendered depth":
                drawn = axis.imshow(fields["image_depth"][camera], extent=extent, **scale)
            else:
                key = "target_image" if name == "real" else "image"
                axis.imshow(fields[key][camera].clamp(0, 1), extent=extent)
    figure.colorbar(drawn, ax=axes, label="distance (m)", shrink=0.5, pad=0.01)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def sample_panel(data: dict, fields: dict[str, Tensor]) -> np.ndarray:
    """`draw_render_panel` of the first sample of a preprocessed batch and its `render_images`."""
    inputs = data["inputs"]
    rig = inputs.rig.first().to("cpu", torch.float64)
    returns: list[tuple[Tensor, Tensor]] = [(torch.zeros(0, 2), torch.zeros(0))] * rig.num_cameras
    if inputs.points is not None:
        points = inputs.points[0][:, :3].cpu().double()
        returns = list(zip(*visible_returns(points, rig), strict=True))
    size = tuple(int(v) for v in rig.image_size.amax(dim=0))
    first = {name: value[0].cpu() for name, value in fields.items()}
    return draw_render_panel(data["data_samples"][0].metainfo["cameras"], first, returns, size)


def save_png(picture: np.ndarray, path: Path) -> None:
    """Write an RGB picture, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def _rank(camera: str) -> int:
    return _LEFT_TO_RIGHT.index(camera) if camera in _LEFT_TO_RIGHT else len(_LEFT_TO_RIGHT)
