"""This module draws a report: where each class is around the car, and many drives side by side."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy import ndarray
from nuscenes import NuScenes
from PIL import Image

from .preview import figure_pixels, save_small, top_view_on

TILES = 25
_COLUMNS = 5
_LARGEST_SHEET = 1_500_000
"""Largest number of bytes of a contact sheet."""
_DARK = "#101418"


def draw_report(nuscenes: NuScenes, content: dict, path: Path) -> tuple[Path, Path, Path]:
    """Draw the pictures of a report.

    Args:
        nuscenes: the data set.
        content: what `describe` says of it.
        path: file of the report, whose name without suffix those of the pictures start with.

    Returns:
        The paths of the picture of cells (`.png`), of drives from above (`_drives.png`) and of drives through the
        front camera (`_front.png`), at most 25 drives each.
    """
    cells, drives, front = (path.with_name(f"{path.stem}{ending}.png") for ending in ("", "_drives", "_front"))
    save_small(draw_cells(content), cells)
    save_small(draw_sheet(nuscenes, _top_tile, 3.2, 3.2), drives, _LARGEST_SHEET)
    save_small(draw_sheet(nuscenes, _front_tile, 3.2, 1.8), front, _LARGEST_SHEET)
    return cells, drives, front


def draw_cells(content: dict) -> ndarray:
    """Draw in how many drives each class is in each cell, and how many boxes there are by area, as uint8 RGB.

    Args:
        content: what `describe` says of a data set.
    """
    classes = content["classes"]
    columns = (len(classes) + 1) // 2
    figure = Figure(figsize=(2.6 * columns, 13.0), dpi=100, facecolor="white")
    axes = figure.subplots(4, columns, subplot_kw={"projection": "polar"})
    figure.subplots_adjust(0.02, 0.065, 0.98, 0.925, hspace=0.42, wspace=0.12)
    frames, drives = content["key_frames"], content["drives"]
    areas = np.array(content["cells"]["areas"])[:, None]
    for k, (name, found) in enumerate(classes.items()):
        row, column = divmod(k, columns)
        share = np.array(found["drives_in_cells"]) / drives
        upper = _polar(axes[row, column], share, content, "viridis", 0.5)
        title = f"{name.replace('_', ' ')}\nin {found['drives']} of {drives} drives"
        axes[row, column].set_title(f"{title}\nat most {found['highest_share']:.0%}, even {found['even_share']:.0%}")
        density = np.array(found["boxes_in_cells"]) / frames / areas * 100
        _polar(axes[2 + row, column], density / max(density.max(), 1e-9), content, "magma", 1.0)
        axes[2 + row, column].set_title(
            f"{name.replace('_', ' ')}, {found['boxes']} boxes\nup to {density.max():.2g} per 100 m² and frame"
        )
    for place in axes.ravel()[: 4 * columns]:
        place.title.set_fontsize(8)
    figure.text(
        0.5,
        0.975,
        "Above: share of drives that have the class in a cell (yellow: half of them and more). Below: boxes by area, "
        "yellow the densest cell.\nAhead is up, left is left; rings of "
        f"{content['cells']['ranges'][1]:g} m to {content['cells']['ranges'][-1]:g} m.",
        ha="center",
        va="center",
        fontsize=9,
    )
    bar = figure.add_axes((0.3, 0.04, 0.4, 0.01))
    figure.colorbar(upper, cax=bar, orientation="horizontal", label="share of drives")
    return figure_pixels(figure)


def draw_sheet(
    nuscenes: NuScenes, tile: Callable[[Axes, NuScenes, dict], None], width: float, height: float
) -> ndarray:
    """Draw the first key frame of evenly spaced drives, at most 25 of them, as uint8 RGB.

    Args:
        nuscenes: the data set.
        tile: function that draws a key frame on an axis.
        width: width of a tile, in units of 100 pixels.
        height: its height, likewise.
    """
    count = min(TILES, len(nuscenes.scene))
    scenes = [nuscenes.scene[k * len(nuscenes.scene) // count] for k in range(count)]
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), dpi=100, facecolor=_DARK)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(0, 0, 1, 1, wspace=0.015, hspace=0.015)
    for axis in axes:
        axis.axis("off")
    for axis, scene in zip(axes, scenes):
        tile(axis, nuscenes, nuscenes.get("sample", scene["first_sample_token"]))
        # White is read on a bright sky as well.
        place = dict(transform=axis.transAxes, bbox=dict(color=_DARK, alpha=0.6, pad=1.5))
        axis.text(0.02, 0.97, scene["name"], color="white", fontsize=8, va="top", **place)
        axis.add_patch(Rectangle((0, 0), 1, 1, fill=False, color="#49505a", transform=axis.transAxes, zorder=9))
    return figure_pixels(figure)


def _polar(axis: Axes, values: ndarray, content: dict, colors: str | Colormap, most: float) -> object:
    bearings, limits = content["cells"]["bearings"], content["cells"]["ranges"]
    # Ten patches a cell, whose straight edges look round.
    edges = (np.linspace(0, bearings, 10 * bearings + 1) - 0.5) * 2 * np.pi / bearings
    drawn = axis.pcolormesh(edges, limits, values.repeat(10, axis=1), cmap=colors, vmin=0, vmax=most)
    axis.set_theta_zero_location("N")
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    return drawn


def _top_tile(axis: Axes, nuscenes: NuScenes, sample: dict) -> None:
    top_view_on(axis, nuscenes, sample, (50.0, 50.0), point_size=0.35)


def _front_tile(axis: Axes, nuscenes: NuScenes, sample: dict) -> None:
    axis.imshow(Image.open(nuscenes.get_sample_data_path(sample["data"]["CAM_FRONT"])))
    axis.set_aspect("auto")
