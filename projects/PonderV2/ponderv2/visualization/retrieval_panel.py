"""The panel of a search: the query and the places that were found, each by its picture and by its points from above."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .picture import figure_to_array

_LINE = 34
"""Characters of a title that fit above a column."""
NEAR, FAR, ELSEWHERE, UNKNOWN = "#2a9d3a", "#e39b00", "#c62828", "#808080"
_LOW, _HIGH = -2.5, 4.0


@dataclass(frozen=True)
class ShownPlace:
    """A place to draw.

    Attributes:
        title: text above it.
        picture: RGB picture, uint8 `[H, W, 3]`; None where there is none.
        points: points, `[P, 3]` or more columns, metres; None where there are none.
        color: color of its frame.
    """

    title: str
    picture: np.ndarray | None = None
    points: np.ndarray | None = None
    color: str = UNKNOWN


def color_of_distance(distance: float | None) -> str:
    """Return the color of a place so many metres from the query: within 5 m, within 25 m, elsewhere, or unknown."""
    if distance is None:
        return UNKNOWN
    return NEAR if distance <= 5.0 else FAR if distance <= 25.0 else ELSEWHERE


def draw_retrieval_panel(places: Sequence[ShownPlace], title: str = "", reach: float = 50.0) -> np.ndarray:
    """Draw a column for each place, the query first: its picture, and below its points from above, by height.

    Args:
        places: the query and what was found.
        title: text above all.
        reach: half the side of the view from above, metres.

    Returns:
        An RGB picture, uint8 `[H, W, 3]`; from above x, which is right of the car in nuScenes' LiDAR frame, points
        right, and y, which is ahead, up.
    """
    figure = Figure(figsize=(3.1 * len(places), 5.6), dpi=100, layout="constrained")
    axes = figure.subplots(2, len(places), squeeze=False, height_ratios=(9, 16))
    for column, place in enumerate(places):
        upper, lower = axes[:, column]
        upper.set_title("\n".join(map(shortened, place.title.splitlines())), fontsize=8.5)
        if place.picture is None:
            upper.text(0.5, 0.5, "no picture", ha="center", va="center", transform=upper.transAxes, color=UNKNOWN)
        else:
            upper.imshow(place.picture)
        if place.points is None:
            lower.text(0.5, 0.5, "no points", ha="center", va="center", transform=lower.transAxes, color=UNKNOWN)
        else:
            order = np.argsort(place.points[:, 2])
            x, y, z = place.points[order, :3].T
            lower.scatter(x, y, c=z, s=0.6, linewidths=0, cmap="viridis", vmin=_LOW, vmax=_HIGH)
            lower.plot(0.0, 0.0, marker="^", color="black", markersize=4)
        lower.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        for axis in (upper, lower):
            _frame(axis, place.color)
    figure.suptitle(title, fontsize=10)
    return figure_to_array(figure)


def shortened(line: str) -> str:
    """Return a line without its middle where it is longer than a column is wide: names of files end in their time."""
    half = (_LINE - 1) // 2
    return line if len(line) <= _LINE else f"{line[: _LINE - 1 - half]}…{line[-half:]}"


def _frame(axis: Axes, color: str) -> None:
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set(color=color, linewidth=3)
