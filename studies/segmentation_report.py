"""The report of a segmentation study: a row for each protocol and share of the labels, as a table and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.box import MARKDOWN
from rich.table import Table

from ponderv2.evaluation.text_table import table_text

from .arguments import POINTS, SCRATCH
from .class_scores import scores_by_class
from .paired_scores import FORMULA, compare_seeds, format_gain, format_pairs, format_side, summarize
from .recipe_parts import steps_of
from .segmentation_study import METRIC, SegmentationStudy
from .study_run import Run

_GAIN = ("gain", "spread", "gain_in_spreads", "beyond_two")


def rows_of(
    study: SegmentationStudy, done: Mapping[Run, Mapping], points: Mapping[tuple[str, float], dict]
) -> list[dict]:
    """Return a row for each protocol and share of the labelled frames; scores are from 0 to 1.

    `scratch` and each pre-training by its name have `mean`, `std` and `values` by seed of the mIoU, `classes` with the
    same of the IoU of each class, and `minutes` by seed. A pre-training also has what `compare_seeds` returns of its
    runs and their baselines, which share their labelled frames and their seed. `n` of the row is the number of seeds of
    which nothing failed; `points_alone` is the classifier of single points.

    Args:
        study: the study.
        done: finished runs with `result` and `minutes`.
        points: scores of the classifier of single points by protocol and share of the labels, see `points_entry`.
    """
    rows = []
    for protocol in study.protocols:
        for fraction in study.fractions_of(protocol):
            arms = study.tried(protocol, fraction)
            inits = (SCRATCH, *arms)
            found = {i: [done.get(Run(protocol, fraction, i, seed)) for seed in study.seeds] for i in inits}
            scores = {i: summarize([f and f["result"][METRIC] for f in found[i]]) for i in inits}
            whole = [all(scores[i].values[k] is not None for i in inits) for k in range(len(study.seeds))]
            row = {"protocol": protocol, "fraction": fraction, "metric": METRIC, "n": sum(whole)}
            config, _ = study.config_of(Run(protocol, fraction, SCRATCH, study.seeds[0]))
            row |= {"recipe": study.configs[protocol].name, "steps": steps_of(config)}
            for init in inits:
                row[init] = asdict(scores[init]) | {
                    "classes": scores_by_class([f and f["result"] for f in found[init]], METRIC),
                    "minutes": [f and f["minutes"] for f in found[init]],
                }
            for arm in arms:
                row[arm] |= compare_seeds(scores[SCRATCH], scores[arm])
            if (protocol, fraction) in points:
                blind = points[protocol, fraction]
                row[POINTS] = {"mean": blind[METRIC], **{k: blind[k] for k in ("std", "values", "seeds", "classes")}}
            rows.append(row)
    return rows


def table_of(rows: Sequence[dict], arms: Sequence[str]) -> str:
    """Return the rows as a table in Markdown, mIoU in points of 0–100, with the formula of the verdict below."""
    columns = ("protocol", "labels", "points alone", "start", METRIC, "gain", "n", "seed by seed", "in std")
    table = Table(*columns, "beyond two std", box=MARKDOWN)
    for row in rows:
        blind = format_side(row[POINTS]) if POINTS in row else "–"
        names = (row["protocol"], f"{100 * row['fraction']:g}%", blind)
        known = sum(value is not None for value in row[SCRATCH]["values"])
        table.add_row(*names, SCRATCH, format_side(row[SCRATCH]), "", str(known), "", "", "")
        for arm in (arm for arm in arms if arm in row):
            gain, ratio, verdict = format_gain({key: row[arm][key] for key in _GAIN})
            of_arm = (arm, format_side(row[arm]), gain, str(row[arm]["n"]), format_pairs(row[arm]["pairs"]))
            table.add_row("", "", "", *of_arm, ratio, verdict)
    return f"{table_text(table, width=180)}\n\n{FORMULA}."


def describe_sample(study: SegmentationStudy) -> str:
    """Say in words what n is, and what of the table is not independent."""
    own = [arm for arm in study.arms if len(study.pretrain_seeds) > 1 and arm not in study.pretrained]
    shared = [arm for arm in study.arms if arm not in own]
    sentences = []
    if own:
        sentences.append(f"each seed of {', '.join(own)} has a pre-training of its own, which is in the deviations")
    if shared:
        sentences.append(
            f"one pre-training of {', '.join(shared)} serves all seeds: how another would differ is in no deviation"
        )
    return (
        f"n: pairs of trainings, one a seed; {'; '.join(sentences)}. Rows are not independent: the frames of a seed's "
        "smaller share lie inside those of its larger one, and all protocols of a seed share them. points alone: a "
        "classifier of height, range and intensity of single points, fitted to the same labelled frames."
    )
