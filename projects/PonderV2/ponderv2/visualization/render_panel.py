"""The panel of a rendered sample: real against rendered colour, depth and classes."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ponderv2.geometry import visible_rows
from ponderv2.shapes import Float

from .picture import color_handle, figure_to_array, order_of, title_of

OPAQUE = 0.5
"""Opacity from which a pixel shows a class; what is more than half transparent has none."""
_TRUE = "true classes\nof the returns"
_FEATURE_ROWS = ("features of\nthe image branch", "rendered features")
_PICTURES = {"real": "target_image", "rendered": "image"} | dict(
    zip(_FEATURE_ROWS, ("target_image_features", "image_features"), strict=True)
)
"""Rows that are pictures, and their fields."""


def draw_render_panel(
    cameras: Sequence[str],
    fields: dict[str, Tensor],
    returns: Sequence[tuple[Tensor, Tensor]],
    image_size: tuple[int, int],
    max_depth: float = 50.0,
    palette: Sequence[tuple[int, int, int]] | None = None,
    classes: Sequence[str] = (),
    labels: Sequence[Tensor] | None = None,
) -> np.ndarray:
    """Draw one column for each camera: the real image, the rendered one, the LiDAR returns, the rendered depth.

    Where features were rendered, the next rows are those of the image branch and the rendered ones, by their first
    three components. Where classes were rendered and have colors, the last rows are the true classes of the returns, if
    they are known, and the rendered classes, blank where a pixel is more than half transparent; below stands what the
    colors mean.

    Args:
        cameras: names of the N cameras.
        fields: what `RenderingPretrainer.render_images` gives for one sample: `image_depth` `[N, h, w]` and, where
            there is colour, `image` and `target_image` `[N, h, w, 3]`; where there are features, `image_features` and
            `target_image_features` `[N, h, w, 3]`; where there are classes, `image_class` `[N, h, w]`, and
            `image_opacity` `[N, h, w]` to blank pixels by.
        returns: for each camera the pixels (u, v) `[P, 2]` and distances `[P]` in metres of its LiDAR returns.
        image_size: (height, width) of the images that these pixels belong to.
        max_depth: end of the colour scale, metres.
        palette: color of each class, RGB 0–255.
        classes: names of the classes, for the legend.
        labels: for each camera the true class `[P]` of its returns, negative where there is none.

    Returns:
        An RGB picture, uint8 `[H, W, 3]`.
    """
    order = order_of(cameras)
    rows = ["LiDAR returns", "rendered depth"]
    if "image" in fields:
        rows = ["real", "rendered", *rows]
    if "image_features" in fields:
        rows = [*rows, *_FEATURE_ROWS]
    if "image_class" in fields and palette is not None:
        rows = [*rows, *([_TRUE] if labels is not None else []), "rendered classes"]
        colors = np.array(palette) / 255
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
                axis.set_title(title_of(cameras[camera]), fontsize=10)
            if column == 0:
                axis.set_ylabel(name, fontsize=10)
            if name == "LiDAR returns":
                pixels, distance = returns[camera]
                axis.set_facecolor("black")
                axis.set_aspect("equal")
                axis.scatter(pixels[:, 0], pixels[:, 1], c=distance, s=1.5, linewidths=0, **scale)
            elif name == "rendered depth":
                drawn = axis.imshow(fields["image_depth"][camera], extent=extent, **scale)
            elif name == _TRUE:
                known = labels[camera] >= 0
                pixels = returns[camera][0][known]
                axis.set_aspect("equal")
                axis.scatter(pixels[:, 0], pixels[:, 1], c=colors[labels[camera][known].numpy()], s=1.5, linewidths=0)
            elif name == "rendered classes":
                axis.imshow(_classes(fields, camera, colors), extent=extent, interpolation="nearest")
            else:
                key = _PICTURES[name]
                axis.imshow(fields[key][camera].clamp(0, 1), extent=extent)
    figure.colorbar(drawn, ax=axes, label="distance (m)", shrink=0.5, pad=0.01)
    if "rendered classes" in rows and classes:
        handles = [
            color_handle(tuple(color), name.replace("_", " ")) for color, name in zip(colors, classes, strict=True)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=8, fontsize=9, frameon=False)
    return figure_to_array(figure)


def _classes(fields: dict[str, Tensor], camera: int, colors: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "h w 4"]:
    """Return the colors of the rendered classes of a camera, RGBA, transparent where the pixel is."""
    picture = colors[fields["image_class"][camera].numpy()]
    opacity = fields.get("image_opacity")
    opaque = np.ones(picture.shape[:2], bool) if opacity is None else (opacity[camera] >= OPAQUE).numpy()
    return np.concatenate([picture, opaque[..., None]], axis=2)


def sample_panel(
    data: dict,
    fields: dict[str, Tensor],
    palette: Sequence[tuple[int, int, int]] | None = None,
    classes: Sequence[str] = (),
) -> np.ndarray:
    """Draw the panel of the first sample of a preprocessed batch.

    Args:
        data: the batch, `{inputs: SensorBatch, data_samples}`.
        fields: what `RenderingPretrainer.render_images` gives for the batch.
        palette: color of each class, RGB 0–255; None draws no classes.
        classes: names of the classes, for the legend.

    Returns:
        An RGB picture, uint8 `[H, W, 3]`.
    """
    inputs = data["inputs"]
    rig = inputs.rig.first().to("cpu", torch.float64)
    sample = data["data_samples"][0]
    returns: list[tuple[Tensor, Tensor]] = [(torch.zeros(0, 2), torch.zeros(0))] * rig.num_cameras
    labels = None
    if inputs.points is not None:
        rows, *seen = visible_rows(inputs.points[0][:, :3].cpu().double(), rig)
        returns = list(zip(*seen, strict=True))
        if "gt_pts_seg" in sample:
            labels = [sample.gt_pts_seg.pts_semantic_mask.cpu()[of_camera] for of_camera in rows]
    size = tuple(int(v) for v in rig.image_size.amax(dim=0))
    first = {name: value[0].cpu() for name, value in fields.items()}
    return draw_render_panel(
        sample.metainfo["cameras"], first, returns, size, palette=palette, classes=classes, labels=labels
    )
