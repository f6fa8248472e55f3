"""The picture of a transfer study."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from .transfer_report import NAMES, SIDES
from .transfer_study import CONSTANT, FROZEN
from .validation_log import METRICS

_COLORS = {CONSTANT: "#c44e52", FROZEN: "#c9a227", "scratch": "#7a7a7a", "pretrained": "#0b6e99"}
_LINES = {CONSTANT: ":", FROZEN: "--", "scratch": "-", "pretrained": "-"}


def draw(path: Path, rows: Sequence[dict]) -> None:
    """Draw a panel for each metric, mAP above, and modality: mean ± standard deviation by share of the labels.

    Seeds are dots. The references are drawn dotted (constant predictor) and dashed (frozen baseline).
    """
    modalities = list(dict.fromkeys(row["modality"] for row in rows))
    figure, axes = plt.subplots(
        len(METRICS),
        len(modalities),
        figsize=(1.2 + 3.6 * len(modalities), 1.2 + 2.7 * len(METRICS)),
        squeeze=False,
        sharex="col",
        layout="constrained",
    )
    for k, metric in enumerate(METRICS):
        for j, modality in enumerate(modalities):
            chosen = [row for row in rows if (row["metric"], row["modality"]) == (metric, modality)]
            _draw_panel(axes[k][j], chosen)
            axes[k][j].set_ylabel(f"{metric} (0–100)" if j == 0 else "")
            if k == 0:
                axes[k][j].set_title(modality)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    for axis in axes[-1]:
        axis.set_xlabel("labelled training frames (%)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw_panel(axis: plt.Axes, rows: Sequence[dict]) -> None:
    places = range(len(rows))
    for offset, side in zip((-0.09, -0.03, 0.03, 0.09), SIDES, strict=True):
        # They are drawn beside each other, so that none hides another.
        x = [place + offset for place in places]
        means = [math.nan if r[side]["mean"] is None else 100 * r[side]["mean"] for r in rows]
        bars = [100 * (r[side]["std"] or 0.0) for r in rows]
        style = {"color": _COLORS[side], "linestyle": _LINES[side], "label": NAMES[side]}
        axis.errorbar(x, means, bars, marker="o", capsize=4, linewidth=1.6, **style)
        for position, row in zip(x, rows, strict=True):
            values = [100 * v for v in row[side]["values"] if v is not None]
            axis.scatter([position] * len(values), values, color=_COLORS[side], s=14, alpha=0.45, zorder=3)
    axis.set_xticks(places, [f"{100 * row['fraction']:g}" for row in rows])
    axis.set_xlim(-0.5, len(rows) - 0.5)
    axis.grid(axis="y", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
