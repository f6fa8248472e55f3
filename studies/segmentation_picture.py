"""The picture of a segmentation study."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from .arguments import POINTS, SCRATCH


def draw(path: Path, rows: Sequence[dict], arms: Sequence[str]) -> None:
    """Draw mean ± standard deviation of the mIoU of each row, a bar for each start; seeds are dots.

    The classifier of single points is a dashed line.
    """
    figure, axis = plt.subplots(figsize=(2.0 + 1.4 * len(rows), 3.6), layout="constrained")
    inits = (SCRATCH, *arms)
    width = 0.8 / len(inits)
    for k, init in enumerate(inits):
        shown = [(place, row[init]) for place, row in enumerate(rows) if init in row]
        places = [place + (k - (len(inits) - 1) / 2) * width for place, _ in shown]
        sides = [side for _, side in shown]
        means = [math.nan if side["mean"] is None else 100 * side["mean"] for side in sides]
        color = "#7a7a7a" if init == SCRATCH else f"C{k - 1}"
        errors = [100 * (side["std"] or 0.0) for side in sides]
        axis.bar(places, means, 0.9 * width, yerr=errors, color=color, alpha=0.75, capsize=3, label=init)
        for place, side in zip(places, sides, strict=True):
            values = [100 * value for value in side["values"] if value is not None]
            axis.scatter([place] * len(values), values, color="black", s=8, zorder=3)
    blind = [(place, row[POINTS]["mean"]) for place, row in enumerate(rows) if POINTS in row]
    for k, (place, mean) in enumerate(blind):
        label = "points alone" if k == 0 else None
        axis.hlines(100 * mean, place - 0.45, place + 0.45, colors="#c44e52", linestyles="--", label=label)
    names = [f"{row['protocol'].replace('_', ' ')}\n{row['fraction']:.0%}" for row in rows]
    axis.set_xticks(range(len(rows)), names)
    axis.set_ylabel("mIoU (0–100)")
    axis.grid(axis="y", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", ncols=len(inits) + 1, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
