"""What a transfer study found: means, standard deviations, gains; as a table, as JSON, as a picture."""

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
    """Values by seed and what they come to.

    Attributes:
        mean: over the seeds that have a value; None without any.
        std: with n - 1; None below two values.
        values: in the order of the seeds; None where a run failed.
    """

    mean: float | None
    std: float | None
    values: list[float | None]


def summarise(values: Sequence[float | None]) -> Summary:
    """Mean and standard deviation (n - 1) of the values that are there."""
    there = [value for value in values if value is not None]
    mean = statistics.fmean(there) if there else None
    std = statistics.stdev(there) if len(there) > 1 else None
    return Summary(mean, std, list(values))


def rows_of(
    results: Mapping[DetectorRun, Mapping[str, float]],
    modalities: Sequence[str],
    fractions: Sequence[float],
    seeds: Sequence[int],
) -> list[dict]:
    """A row a modality, fraction and metric: `scratch` and `pretrained` as `Summary`, and the gain.

    `pairs` is the `Summary` of the differences between twins, which share their labelled frames and their seed: what
    the choice of frames adds to both sides is not in it. `gain` is None when a side has no value. `spread` is the
    pooled standard deviation and `gain_in_spreads` the gain divided by it (None with fewer than two seeds or without
    any spread); `beyond_two` is the verdict of `FORMULA`.
    """
    rows = []
    for modality in modalities:
        for fraction in fractions:
            for metric in METRICS:
                sides = {}
                for init in INITS:
                    found = [results.get(DetectorRun(modality, fraction, init, seed)) for seed in seeds]
                    sides[init] = summarise([None if f is None else f[metric] for f in found])
                sides["pairs"] = _pairs(**sides)
                names = {"modality": modality, "fraction": fraction, "metric": metric}
                rows.append(names | {k: asdict(v) for k, v in sides.items()} | _gain(*(sides[i] for i in INITS)))
    return rows


def steps_of(results: Mapping[DetectorRun, Mapping]) -> list[str]:
    """Steps before the last at which every run was validated, in order."""
    sets = [set(result.get("earlier", {})) for result in results.values()]
    return sorted(set.intersection(*sets), key=int) if sets else []


def _pairs(scratch: Summary, pretrained: Summary) -> Summary:
    twins = zip(scratch.values, pretrained.values, strict=True)
    return summarise([None if None in pair else pair[1] - pair[0] for pair in twins])


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
    """The rows as a table in Markdown, in points of 0–100, with the formula of the verdict below.

    "pair by pair" has the standard deviation of the differences between twins, and in how many the pre-trained one is
    ahead.
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
        sides = [_told(row[init]) for init in INITS]
        pairs = _told_pairs(row["pairs"])
        table.add_row(row["modality"], f"{row['fraction']:.0%}", row["metric"], *sides, gain, pairs, ratio, verdict)
    text = io.StringIO()
    Console(file=text, width=160).print(table)
    return f"{text.getvalue().strip()}\n\n{FORMULA}."


def _told(side: Mapping) -> str:
    if side["mean"] is None:
        return "failed"
    std = "" if side["std"] is None else f" ± {100 * side['std']:.2f}"
    failed = sum(value is None for value in side["values"])
    return f"{100 * side['mean']:.2f}{std}" + (f" ({failed} failed)" if failed else "")


def _told_pairs(pairs: Mapping) -> str:
    if pairs["std"] is None:
        return "–"
    there = [value for value in pairs["values"] if value is not None]
    return f"± {100 * pairs['std']:.2f}, {sum(value > 0 for value in there)} of {len(there)} ahead"


def write_json(path: Path, rows: Sequence[dict], about: Mapping) -> None:
    """`about` (seeds and whatever says how the numbers were made), the formula, and `rows`."""
    content = {**about, "formula": FORMULA, "rows": list(rows)}
    path.write_text(json.dumps(content, indent=2) + "\n")


def draw(path: Path, rows: Sequence[dict]) -> None:
    """A panel a metric and modality: mean ± standard deviation against the share of labels, and every seed as a dot."""
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
        # Beside each other, so that neither hides the other.
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
