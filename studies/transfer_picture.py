"""The pictures of a transfer study: scores by share of the labels, and by length of the pre-training."""

import math
from collections.abc import Collection, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.container import ErrorbarContainer

from .arguments import SCRATCH
from .checked_rows import starts_in
from .result_parts import model_and_share
from .transfer_report import NAMES
from .transfer_study import CONSTANT, FROZEN

_COLORS = {CONSTANT: "#c44e52", FROZEN: "#c9a227", SCRATCH: "#7a7a7a", "pretrained": "#0b6e99"}
_LINES = {CONSTANT: ":", FROZEN: "--"}


def draw(path: Path, rows: Sequence[dict], apart: Collection[str] = ()) -> None:
    """Draw a panel for each metric, the leading one above, and model: mean ± standard deviation by share of the labels.

    Trainings are dots. The references are drawn dotted (constant predictor) and dashed (frozen baseline). A line joins
    the shares of a panel unless some of them are `apart`, a model and a share as in "lidar 25%": measured on other
    files, which do not tell what more labels do.
    """
    models = list(dict.fromkeys(row["model"] for row in rows))
    metrics = {model: list(dict.fromkeys(row["metric"] for row in rows if row["model"] == model)) for model in models}
    height = max(len(found) for found in metrics.values())
    size = (1.2 + 3.6 * len(models), 1.2 + 2.7 * height)
    figure, axes = plt.subplots(height, len(models), figsize=size, squeeze=False, layout="constrained")
    shown: dict[str, ErrorbarContainer] = {}
    for j, model in enumerate(models):
        axes[0][j].set_title(model)
        for k in range(height):
            if k >= len(metrics[model]):
                axes[k][j].set_axis_off()
                continue
            chosen = [row for row in rows if (row["metric"], row["model"]) == (metrics[model][k], model)]
            joined = len({model_and_share(row) in apart for row in chosen}) == 1
            shown |= _draw_panel(axes[k][j], chosen, joined)
            axes[k][j].set_ylabel(f"{metrics[model][k]} (0–100)")
            axes[k][j].set_xlabel("labelled training frames (%)")
    figure.legend(list(shown.values()), list(shown), loc="outside upper right", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_lengths(path: Path, rows: Sequence[dict]) -> bool:
    """Draw the scores by the number of pre-training steps, a panel for each model and leading metric, scratch dashed.

    Of each pre-training recipe with several numbers of steps there is a curve for each share of the labels. Returns
    whether there is one; nothing is drawn without.
    """
    curves = {}
    for row in rows:
        lengths: dict[str, dict[int, str]] = {}
        for start in starts_in(row):
            if row[start].get("pretrain_steps") is not None and row[start]["mean"] is not None:
                lengths.setdefault(row[start]["pretrain_recipe"], {}).setdefault(row[start]["pretrain_steps"], start)
        several = [found for found in lengths.values() if len(found) > 1]
        if several and row["metric"] != "NDS":
            curves.setdefault(row["model"], []).extend((row, found) for found in several)
    if not curves:
        return False
    size = (1.0 + 3.8 * len(curves), 3.4)
    figure, axes = plt.subplots(1, len(curves), figsize=size, squeeze=False, layout="constrained")
    for axis, (model, found) in zip(axes[0], curves.items(), strict=True):
        for k, (row, lengths) in enumerate(found):
            steps = sorted(lengths)
            sides = [row[lengths[step]] for step in steps]
            means, bars = _mean_and_bar(sides)
            label = f"{100 * row['fraction']:g} % of the labels"
            axis.errorbar(steps, means, bars, marker="o", capsize=4, color=f"C{k}", label=label)
            if row[SCRATCH]["mean"] is not None:
                axis.axhline(100 * row[SCRATCH]["mean"], linestyle="--", color=f"C{k}", alpha=0.6)
        axis.set_xscale("log")
        ticks = sorted({step for _, lengths in found for step in lengths})
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.minorticks_off()
        axis.set(title=model, xlabel="steps of pre-training", ylabel=f"{found[0][0]['metric']} (0–100)")
        axis.legend(frameon=False, fontsize="small")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return True


def _draw_panel(axis: plt.Axes, rows: Sequence[dict], joined: bool) -> dict[str, ErrorbarContainer]:
    """Draw the sides of the rows beside each other, so that none hides another; returns what the legend names."""
    starts = list(dict.fromkeys(start for row in rows for start in starts_in(row)))
    sides = [side for side in (CONSTANT, FROZEN, SCRATCH, *starts) if any(side in row for row in rows)]
    shown = {}
    for k, side in enumerate(sides):
        offset = 0.06 * (k - (len(sides) - 1) / 2)
        there = [(place + offset, row[side]) for place, row in enumerate(rows) if side in row]
        means, bars = _mean_and_bar([found for _, found in there])
        color = _COLORS.get(side, f"C{k}")
        style = {"color": color, "linestyle": _LINES.get(side, "-") if joined else "none"}
        x = [place for place, _ in there]
        shown[NAMES.get(side, side)] = axis.errorbar(x, means, bars, marker="o", capsize=4, linewidth=1.6, **style)
        for place, found in there:
            values = [100 * value for value in found["values"] if value is not None]
            axis.scatter([place] * len(values), values, color=color, s=14, alpha=0.45, zorder=3)
    axis.set_xticks(range(len(rows)), [f"{100 * row['fraction']:g}" for row in rows])
    axis.set_xlim(-0.5, len(rows) - 0.5)
    if axis.get_ylim()[1] < 1:
        # Differences of a hundredth of a point would fill the panel.
        axis.set_ylim(-0.05, 1)
    axis.grid(axis="y", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    return shown


def _mean_and_bar(sides: Sequence[dict]) -> tuple[list[float], list[float]]:
    means = [math.nan if side["mean"] is None else 100 * side["mean"] for side in sides]
    return means, [100 * (side["std"] or 0.0) for side in sides]
