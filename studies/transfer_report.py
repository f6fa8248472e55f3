"""The report of a transfer study: a row for each model, share of the labels and metric, as a table and as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from mmengine.config import Config
from rich.box import MARKDOWN
from rich.table import Table

from ponderv2.evaluation.text_table import table_text

from .arguments import SCRATCH
from .checked_rows import starts_in
from .class_scores import scores_by_class
from .made_with import runs_by_code
from .nested_deviation import NESTED_FORMULA
from .paired_scores import compare, format_ahead, format_nested, format_side, summarize
from .recipe_parts import hooks_of, steps_of
from .study_run import Run
from .transfer_study import CONSTANT, FROZEN, REFERENCES, TransferStudy

NAMES = {CONSTANT: "constant", FROZEN: "frozen random", "pretrained": "pre-trained"}
"""What the starts are called in tables; others have their own names."""


def rows_of(
    study: TransferStudy, done: Mapping[Run, Mapping], constants: Mapping[Run, Mapping[str, float]], step: str = ""
) -> list[dict]:
    """Return a row for each model, share of the labelled frames and metric; scores are from 0 to 1.

    `scratch` and each start by its name have `mean`, `std` and `values` in the order of `study.trainings`, `classes`
    with the same of each class, and `minutes`. A start also has `pretrain_recipe` and `pretrain_steps` where the study
    makes its encoder, the `changes` that it alone has, and all that `compare` returns of it and of scratch. `constant`
    and `frozen` are the references, with values by fine-tuning seed. `n` of the row is the number of trainings a side
    of which nothing failed.

    Args:
        study: the study.
        done: finished runs with `result` and `minutes`.
        constants: scores of constant predictors.
        step: an earlier step, for the scores of the validation there; models without it have no row.
    """
    rows = []
    for model in study.models:
        results = {run: _at(found, step) for run, found in done.items() if run.recipe == model}
        if step and (not results or None in results.values()):
            continue
        config, _ = study.config_of(Run(model, study.fractions_of(model)[0], SCRATCH, *study.trainings[0]))
        about = {"model": model, "protocol": protocol_of(study, model, config)}
        recipe = {"recipe": study.configs[model].name, "steps": int(step) if step else steps_of(config)}
        encoders = _encoders(study, model)
        for fraction in study.fractions_of(model):
            inits = study.inits_of(model, fraction)
            runs = {init: [Run(model, fraction, init, *seeds) for seeds in study.trainings] for init in inits}
            runs |= {
                FROZEN: [
                    run for run in study.runs() if (run.recipe, run.fraction, run.init) == (model, fraction, FROZEN)
                ]
            }
            for metric in study.metrics_of(config):
                row = about | {"fraction": fraction, "metric": metric}
                sides = {init: summarize([_score(results.get(run), metric) for run in runs[init]]) for init in inits}
                compared = [sides[init] for init in inits if init != FROZEN]
                row["n"] = sum(None not in values for values in zip(*(side.values for side in compared), strict=True))
                row |= recipe
                known = [constants.get(Run(model, fraction, CONSTANT, seed)) for seed in study.seeds]
                if any(known):
                    row[CONSTANT] = asdict(summarize([_score(found, metric) for found in known]))
                for init in inits:
                    row[init] = asdict(sides[init]) | {
                        "classes": scores_by_class([results.get(run) for run in runs[init]], metric),
                        "minutes": [done[run]["minutes"] if run in done else None for run in runs[init]],
                    }
                for start in study.tried(model, fraction):
                    names = {study.encoder_name(run) for run in runs[start]} - {None}
                    row[start] |= encoders[start] | {"changes": study.changes_of(start)}
                    row[start] |= compare(sides[SCRATCH], sides[start], len(study.pretrain_seeds) or 1, len(names))
                rows.append(row)
    return rows


def protocol_of(study: TransferStudy, model: str, config: Config) -> str:
    """Say what of a model is trained: "frozen" for its head alone, "head first" for that and then all, or "all"."""
    if model in study.frozen:
        return "frozen"
    if hooks_of(config, "UnfreezeEncoderHook"):
        return "head first"
    return "frozen" if config.model.get("freeze_encoder") else "all"


def steps_before(done: Mapping[Run, Mapping]) -> list[str]:
    """Return the steps before the last at which every run of some model was validated, in ascending order."""
    by_model: dict[str, list[set[str]]] = {}
    for run, found in done.items():
        by_model.setdefault(run.recipe, []).append(set(found["result"].get("earlier", {})))
    return sorted({step for sets in by_model.values() for step in set.intersection(*sets)}, key=int)


def describe_study(study: TransferStudy, done: Mapping[Run, Mapping]) -> dict:
    """Return what the file of the rows says of them: frozen models, what n is, the formula, and code and packages."""
    about = {"frozen": list(study.frozen), "sample": describe_sample(study), "nested_formula": NESTED_FORMULA}
    return about | {"made_with": runs_by_code(done)}


def describe_sample(study: TransferStudy) -> str:
    """Say in words what n is, what of the table is not independent, and what the references are."""
    seeds, pretrainings = len(study.seeds), len(study.pretrain_seeds)
    pairs = f"{seeds} fine-tuning seeds × {pretrainings} pre-training seeds" if pretrainings else f"{seeds} seeds"
    keys = dict.fromkeys(key for run in study.runs() if (key := study.encoder_key(run)) is not None)
    shared = [key for key in keys if not study.is_seeded(key)]
    lines = [
        f"n: pairs of trainings ({pairs}). A pair has the same labelled frames, which the fine-tuning seed chooses, "
        "and the same random numbers; from scratch there are as many trainings as pre-trained, each with its own.",
    ]
    if pretrainings > 1:
        lines.append(
            "The nested deviation has the encoders and the frames, which several pairs share, as levels of their own. "
            "Simulated with 3 × 2 seeds and no gain at all, chance is beyond two of them in 2 to 15 % of studies: 15 % "
            "where pre-trainings differ most, for two of them say little of how much they do."
        )
    if shared:
        lines.append(
            f"One encoder of {', '.join(shared)} serves all: how another would differ is in no deviation, and chance "
            "is beyond two of them in up to half of such studies. There is no verdict."
        )
    lines.append(
        "Rows are not independent: models share the labelled frames of a seed, the frames of its smaller fraction lie "
        "inside those of its larger one, and metrics and earlier steps are of the same trainings."
    )
    if set(study.references):
        lines.append(
            "constant: boxes fitted to the labelled frames, the same in every frame; what it scores needs no sensor. "
            "frozen random: the encoder stays as the baseline starts (random, unless the recipe's baseline starts from "
            "weights), the head is trained as long."
        )
    return "\n".join(lines)


def table_of(rows: Sequence[dict]) -> str:
    """Return the rows as a table in Markdown, in points of 0–100, with the formula of the verdict below.

    A row has a line for each reference, for scratch, and for each start; `ahead` is the number of pairs whose
    pre-trained run is ahead. Below it stands what was changed for one start alone. It needs nothing but the rows, so
    that it can be made again of the JSON file.
    """
    columns = ("model", "protocol", "labels", "metric", "start", "score", "gain", "n", "ahead", "nested deviation")
    table = Table(*columns, "in deviations", "beyond two", box=MARKDOWN)
    for row in rows:
        names = (row["model"], row["protocol"], f"{100 * row['fraction']:g}%", row["metric"])
        for side in (side for side in (*REFERENCES, SCRATCH) if side in row):
            known = sum(value is not None for value in row[side]["values"])
            table.add_row(*names, NAMES.get(side, side), format_side(row[side]), "", str(known))
            names = ("", "", "", "")
        for start in starts_in(row):
            gain, deviation, ratio, verdict = format_nested(row[start])
            compared = (gain, str(row[start]["n"]), format_ahead(row[start]["pairs"]), deviation, ratio, verdict)
            table.add_row(*names, NAMES.get(start, start), format_side(row[start]), *compared)
    changed = {start: row[start].get("changes") for row in rows for start in starts_in(row)}
    notes = [f"{NESTED_FORMULA}; beyond two: gain > 2 nested deviations."]
    notes += [f"{NAMES.get(start, start)} alone has {', '.join(made)}." for start, made in changed.items() if made]
    return "\n\n".join([table_text(table, width=220), *notes])


def _at(found: Mapping, step: str) -> Mapping[str, float] | None:
    return found["result"].get("earlier", {}).get(step) if step else found["result"]


def _score(result: Mapping[str, float] | None, metric: str) -> float | None:
    # Results of before may hold scores that are no numbers, as those of failed runs.
    return None if result is None or not math.isfinite(result[metric]) else result[metric]


def _encoders(study: TransferStudy, model: str) -> dict[str, dict]:
    """Return the recipe and number of steps of the pre-training of each start; nothing of files that are given."""
    found: dict[str, dict] = {start: {} for start in study.starts_of(model)}
    for run in study.runs():
        key = study.encoder_key(run)
        if run.recipe == model and key is not None and key not in study.pretrained and not found[run.init]:
            name = study.encoder_name(run)
            steps = steps_of(study.pretraining_config(name))
            found[run.init] = {"pretrain_recipe": study.pretraining_recipe(name)[0].name, "pretrain_steps": steps}
    return found
