"""The report of a transfer study: means, deviations and gains beside the references, as a table and as JSON."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from .paired_scores import (
    FORMULA,
    format_gain,
    format_pairs,
    format_side,
    gain_of,
    pair_differences,
    summarize,
)
from .transfer_study import CONSTANT, FROZEN, INITS, DetectorRun
from .validation_log import METRICS

SIDES = (CONSTANT, FROZEN, *INITS)
NAMES = {CONSTANT: "constant", FROZEN: "frozen random", "scratch": "scratch", "pretrained": "pre-trained"}


def rows_of(
    results: Mapping[DetectorRun, Mapping[str, float]],
    modalities: Sequence[str],
    fractions: Sequence[float],
    seeds: Sequence[int],
) -> list[dict]:
    """Return a row for each modality, fraction and metric: a `Summary` of each of `SIDES`, and the gain.

    `pairs` is the `Summary` of the differences between each pre-trained run and its baseline, which share their
    labelled frames and their seed, so that the effect of the choice of frames on both cancels; `n` is the number of
    these pairs. The gain is that of `gain_of`.

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
                sides["pairs"] = pair_differences(*compared)
                n = sum(value is not None for value in sides["pairs"].values)
                names = {"modality": modality, "fraction": fraction, "metric": metric, "n": n}
                rows.append(names | {k: asdict(v) for k, v in sides.items()} | gain_of(*compared))
    return rows


def steps_of(results: Mapping[DetectorRun, Mapping]) -> list[str]:
    """Return the steps before the last at which every run was validated, in ascending order."""
    sets = [set(result.get("earlier", {})) for result in results.values()]
    return sorted(set.intersection(*sets), key=int) if sets else []


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
        gain, ratio, verdict = format_gain(row)
        names = (row["modality"], f"{row['fraction']:.0%}", row["metric"])
        sides = [format_side(row[side]) for side in SIDES]
        table.add_row(*names, *sides, gain, str(row["n"]), format_pairs(row["pairs"]), ratio, verdict)
    text = io.StringIO()
    Console(file=text, width=220).print(table)
    return f"{text.getvalue().strip()}\n\n{FORMULA}."


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
