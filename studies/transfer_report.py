"""The report of a transfer study: means, deviations and gains beside the references, as a table and as JSON."""

import io
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from .transfer_study import CONSTANT, FROZEN, INITS, DetectorRun
from .validation_log import METRICS

SIDES = (CONSTANT, FROZEN, *INITS)
NAMES = {CONSTANT: "constant", FROZEN: "frozen random", "scratch": "scratch", "pretrained": "pre-trained"}
FORMULA = (
    "gain = mean(pretrained) - mean(scratch); beyond two standard deviations: gain > 2 * sqrt((s1² + s2²) / 2), "
    "with s1 and s2 the standard deviations over seeds (n - 1) of the two: the size of an effect, not a test of one"
)


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
    """Return a row for each modality, fraction and metric: a `Summary` of each of `SIDES`, and the gain.

    `pairs` is the `Summary` of the differences between each pre-trained run and its baseline, which share their
    labelled frames and their seed, so that the effect of the choice of frames on both cancels; `n` is the number of
    these pairs. `gain` is None when a side has no score. `spread` is the pooled standard deviation, and
    `gain_in_spreads` the gain divided by it (None with fewer than two seeds or without any spread). `beyond_two` is the
    verdict of `FORMULA`.

    Args:
        results: scores of the finished runs, constant predictors among them.
        modalities: modalities of the study.
        fractions: shares of the labelled frames.
        seeds: seeds of the study.
    """
    rows = []
    for modality in modalities:
        for fraction in fractions:
            for metric in METRICS:
                sides = {}
                for side in SIDES:
                    found = [results.get(DetectorRun(modality, fraction, side, seed)) for seed in seeds]
                    sides[side] = summarize([None if f is None else f[metric] for f in found])
                compared = [sides[init] for init in INITS]
                sides["pairs"] = _pairs(*compared)
                n = sum(value is not None for value in sides["pairs"].values)
                names = {"modality": modality, "fraction": fraction, "metric": metric, "n": n}
                rows.append(names | {k: asdict(v) for k, v in sides.items()} | _gain(*compared))
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


def sample_size(modalities: Sequence[str], fractions: Sequence[float], seeds: Sequence[int]) -> dict[str, int]:
    """Return how many trainings a study has, and how many of them say something of their own.

    `trainings` of detectors, a pre-trained one, a baseline and a frozen one in each cell; `pairs` of a pre-trained one
    and its baseline; `independent_pairs`, one a seed, for all modalities of a seed train on the same labelled frames
    and the frames of its smaller fraction lie inside those of its larger one; `pretrainings`, one a modality.
    """
    pairs = len(modalities) * len(fractions) * len(seeds)
    return {
        "trainings": (len(INITS) + 1) * pairs,
        "pairs": pairs,
        "independent_pairs": len(seeds),
        "pretrainings": len(modalities),
    }


def describe_sample(modalities: Sequence[str], fractions: Sequence[float], seeds: Sequence[int]) -> str:
    """Say in words what n is, what of the table is not independent, and what the references are."""
    size = sample_size(modalities, fractions, seeds)
    product = f"{len(modalities)} modalities × {len(fractions)} fractions × {len(seeds)} seeds"
    shared = "the modalities of a seed train on the same labelled frames, " * (len(modalities) > 1)
    nested = "the frames of a seed's smaller fraction lie inside those of its larger one, and " * (len(fractions) > 1)
    return "\n".join(
        [
            f"n: pairs of trainings, one a seed; {size['pairs']} in all ({product}), and one pre-training a modality "
            "(n = 1), which all its seeds share: how much another one would differ is in no deviation.",
            f"Rows are not independent: {shared}{nested}both metrics and all checkpoints are of the same trainings. "
            f"Independent of each other are {size['independent_pairs']} pairs in all, one a seed, given the frames "
            "that are scored and the pre-training, which all seeds share: for these, all seeds of a row are ahead by "
            f"chance with a probability of {0.5 ** len(seeds):g}.",
            "constant: boxes fitted to the labelled frames, the same in every frame; what it scores needs no sensor. "
            "frozen random: the encoder stays as the baseline starts (random, unless the recipe's baseline starts from "
            "weights), the head is trained as long.",
        ]
    )


def table_of(rows: Sequence[dict]) -> str:
    """Return the rows as a table in Markdown, in points of 0–100, with the formula of the verdict below.

    The column "seed by seed" has the standard deviation of the differences between pre-trained runs and their
    baselines, and the number of seeds whose pre-trained run is ahead.
    """
    columns = ("modality", "labels", "metric", *(NAMES[side] for side in SIDES))
    table = Table(*columns, "gain", "n", "seed by seed", "in std", "beyond two std", box=MARKDOWN)
    for row in rows:
        verdict = {None: "needs two seeds", True: "yes", False: "no"}[row["beyond_two"]]
        ratio = "–" if row["gain_in_spreads"] is None else f"{row['gain_in_spreads']:+.1f}"
        gain = "–" if row["gain"] is None else f"{100 * row['gain']:+.2f}"
        names = (row["modality"], f"{row['fraction']:.0%}", row["metric"])
        sides = [_format_side(row[side]) for side in SIDES]
        table.add_row(*names, *sides, gain, str(row["n"]), _format_pairs(row["pairs"]), ratio, verdict)
    text = io.StringIO()
    Console(file=text, width=220).print(table)
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


def write_report(path: Path, rows: Sequence[dict], about: Mapping) -> None:
    """Write study.json.

    | key | content |
    |---|---|
    | keys of `about` | how the scores were computed: seeds, recipes, options, encoders, failed runs, `sample_size`; under `earlier` the rows at earlier validations by step |
    | `formula` | `FORMULA` |
    | `rows` | those of `rows_of`, mAP before NDS: `modality`, `fraction`, `metric`, `n`; `constant`, `frozen`, `scratch`, `pretrained` and `pairs`, each with `mean`, `std` and `values` by seed; `gain`, `spread`, `gain_in_spreads`, `beyond_two` |

    Scores are from 0 to 1.
    """  # noqa: E501
    content = {**about, "formula": FORMULA, "rows": list(rows)}
    path.write_text(json.dumps(content, indent=2) + "\n")
