"""The report of a transfer study: means, standard deviations and gains, as a table, as JSON and as a picture."""

import io
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from .transfer_study import INITS, METRICS, DetectorRun

FORMULA = (
    "gain = mean(pretrained) - mean(scratch); beyond two standard deviations: gain > 2 * sqrt((s1² + s2²) / 2), "
    "with s1 and s2 the standard deviations over seeds (n - 1) of the two"
)
_COLORS = {"scratch": "#7a7a7a", "pretrained": "#0b6e99"}


@dataclass(frozen=True)
class Summary:
    """Scores of several seeds, with their mean and standard deviation.

    Attributes:
        mean: mean over the seeds that have a score; None when none has.
        std: standard deviation with n - 1; None with fewer than two scores.
        values: scores in the order of the seeds; None where a run failed.
    """

    mean: float | None
    std: float | None
    values: list[float | None]


def summarize(values: Sequence[float | None]) -> Summary:
    """Return the mean and standard deviation (n - 1) of the values that are not None."""
    known = [value for value in values if value is not None]
    mean = statistics.fmean(known) if known else None
    std = statistics.stdev(known) if len(known) > 1 else None
    return Summary(mean, std, list(values))


def rows_of(
    results: Mapping[DetectorRun, Mapping[str, float]],
    modalities: Sequence[str],
    fractions: Sequence[float],
    seeds: Sequence[int],
) -> list[dict]:
    """Return a row for each modality, fraction and metric, with `scratch` and `pretrained` as `Summary`, and the gain.

    `pairs` is the `Summary` of the differences between each pre-trained run and its baseline, which share their
    labelled frames and their seed, so that the effect of the choice of frames on both cancels. `gain` is None when a
    side has no score. `spread` is the pooled standard deviation, and `gain_in_spreads` the gain divided by it (None
    with fewer than two seeds or without any spread). `beyond_two` is the verdict of `FORMULA`.

    Args:
        results: scores of the finished runs.
        modalities: modalities of the study.
        fractions: shares of the labelled frames.
        seeds: seeds of the study.
    """
    rows = []
    for modality in modalities:
        for fraction in fractions:
            for metric in METRICS:
                sides = {}
                for init in INITS:
                    found = [results.get(DetectorRun(modality, fraction, init, seed)) for seed in seeds]
                    sides[init] = summarize([None if f is None else f[metric] for f in found])
                sides["pairs"] = _pairs(**sides)
                names = {"modality": modality, "fraction": fraction, "metric": metric}
                rows.append(names | {k: asdict(v) for k, v in sides.items()} | _gain(*(sides[i] for i in INITS)))
    return rows


def steps_of(results: Mapping[DetectorRun, Mapping]) -> list[str]:
    """Return the steps before the last at which every run was validated, in ascending order."""
    sets = [set(result.get("earlier", {})) for result in results.values()]
    return sorted(set.intersection(*sets), key=int) if sets else []


def _pairs(scratch: Summary, pretrained: Summary) -> Summary:
    pairs = zip(scratch.values, pretrained.values, strict=True)
    return summarize([None if None in pair else pair[1] - pair[0] for pair in pairs])


def _gain(scratch: Summary, pretrained: Summary) -> dict:
    gain = spread = in_spreads = beyond = None
    if scratch.mean is not None and pretrained.mean is not None:
        gain = pretrained.mean - scratch.mean
    if gain is not None and scratch.std is not None and pretrained.std is not None:
        spread = math.sqrt((scratch.std**2 + pretrained.std**2) / 2)
        in_spreads = gain / spread if spread > 0 else None
        beyond = gain > 2 * spread
    return {"gain": gain, "spread": spread, "gain_in_spreads": in_spreads, "beyond_two": beyond}


def table_of(rows: Sequence[dict]) -> str:
    """Return the rows as a table in Markdown, in points of 0–100, with the formula of the verdict below.

    The column "pair by pair" has the standard deviation of the differences between pre-trained runs and their
    baselines, and the number of pairs in which the pre-trained run is ahead.
    """
    columns = (
        "modality",
        "labels",
        "metric",
        "scratch",
        "pre-trained",
        "gain",
        "pair by pair",
        "in std",
        "beyond two std",
    )
    table = Table(*columns, box=MARKDOWN)
    for row in rows:
        verdict = {None: "needs two seeds", True: "yes", False: "no"}[row["beyond_two"]]
        ratio = "–" if row["gain_in_spreads"] is None else f"{row['gain_in_spreads']:+.1f}"
        gain = "–" if row["gain"] is None else f"{100 * row['gain']:+.2f}"
        sides = [_format_side(row[init]) for init in INITS]
        pairs = _format_pairs(row["pairs"])
        table.add_row(row["modality"], f"{row['fraction']:.0%}", row["metric"], *sides, gain, pairs, ratio, verdict)
    text = io.StringIO()
    Console(file=text, width=160).print(table)
    return f"{text.getvalue().strip()}\n\n{FORMULA}."


def _format_side(side: Mapping) -> str:
    if side["mean"] is None:
        return "failed"
    std = "" if side["std"] is None else f" ± {100 * side['std']:.2f}"
    failed = sum(value is None for value in side["values"])
    return f"{100 * side['mean']:.2f}{std}" + (f" ({failed} failed)" if failed else "")


def _format_pairs(pairs: Mapping) -> str:
    if pairs["std"] is None:
        return "–"
    known = [value for value in pairs["values"] if value is not None]
    return f"± {100 * pairs['std']:.2f}, {sum(value > 0 for value in known)} of {len(known)} ahead"


def write_json(path: Path, rows: Sequence[dict], about: Mapping) -> None:
    """Write the rows, the formula of the verdict, and `about`, which says how the scores were computed."""
    content = {**about, "formula": FORMULA, "rows": list(rows)}
    path.write_text(json.dumps(content, indent=2) + "\n")


def draw(path: Path, rows: Sequence[dict]) -> None:
    """Draw a panel for each metric and modality: mean ± standard deviation by share of the labels, seeds as dots."""
    modalities = list(dict.fromkeys(row["modality"] for row in rows))
    figure, axes = plt.subplots(
        len(METRICS),
        len(modalities),
        figsize=(1.2 + 3.6 * len(modalities), 0.8 + 2.7 * len(METRICS)),
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
    for offset, init in zip((-0.06, 0.06), INITS, strict=True):
        # The two are drawn beside each other, so that neither hides the other.
        x = [place + offset for place in places]
        means = [math.nan if r[init]["mean"] is None else 100 * r[init]["mean"] for r in rows]
        bars = [100 * (r[init]["std"] or 0.0) for r in rows]
        label = "pre-trained" if init == "pretrained" else init
        axis.errorbar(x, means, bars, color=_COLORS[init], marker="o", capsize=4, linewidth=1.6, label=label)
        for position, row in zip(x, rows, strict=True):
            values = [100 * v for v in row[init]["values"] if v is not None]
            axis.scatter([position] * len(values), values, color=_COLORS[init], s=14, alpha=0.45, zorder=3)
    axis.set_xticks(places, [f"{100 * row['fraction']:g}" for row in rows])
    axis.set_xlim(-0.5, len(rows) - 0.5)
    axis.grid(axis="y", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
