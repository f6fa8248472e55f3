"""The constant predictors of a transfer study: what is reached from the same labels without looking."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config

from ponderv2.engine import innermost_dataset, set_data_root

from .constant_predictor import FIT, score_constant
from .recipe_parts import dataset_at, detection_metric
from .runs import read_json, write_json
from .study_run import Run
from .transfer_study import CONSTANT, TransferStudy
from .true_boxes import table_hashes
from .validation_log import METRICS


def constant_scores(
    study: TransferStudy, score: Callable[[Config, str], dict[str, float]] = score_constant
) -> dict[Run, dict[str, float]]:
    """Score the constant predictor of each choice of labelled frames of detectors, once for recipes with the same data.

    Scores are kept in the study's folder `constant`, and computed anew when the data, their choice, the tables of the
    true boxes, the metric or the way of fitting have changed, and where their file is damaged.

    Args:
        study: the study.
        score: function of a recipe and of the key of its training data set.

    Returns:
        Metrics by run, with the init `CONSTANT`.
    """
    done: dict[str, dict[str, float]] = {}
    found = {}
    truth = table_hashes(study.data_root)
    for model in study.models:
        for fraction in study.fractions_of(model):
            for seed in study.seeds:
                run = Run(model, fraction, CONSTANT, seed)
                config, key = study.config_of(run)
                if study.metrics_of(config) != METRICS:
                    continue
                settings = _settings(study, config, key, truth)
                path = study.out / CONSTANT / f"{run.name}.json"
                kept = _kept(path)
                if kept.get("settings") == settings:
                    found[run] = done[settings["sha256"]] = kept["result"]
                    continue
                if settings["sha256"] not in done:
                    set_data_root(config, str(study.data_root))
                    done[settings["sha256"]] = score(config, key)
                found[run] = done[settings["sha256"]]
                path.parent.mkdir(parents=True, exist_ok=True)
                write_json(path, {"settings": settings, "result": found[run]})
    return found


def _kept(path: Path) -> dict:
    """Return the settings and the result of an earlier study; nothing where there is none to use."""
    if not path.is_file():
        return {}
    kept = read_json(path)
    if kept is None or not isinstance(kept.get("result"), dict):
        print(f"{path} is damaged; it is made anew", flush=True)
        return {}
    return kept


def _settings(study: TransferStudy, config: Config, key: str, truth: dict[str, str]) -> dict[str, str | int]:
    """Return what a score depends on: data sets but for their pipelines, metric, info files, true boxes, fit."""
    labelled, scored = dataset_at(config, key, Path(config.filename)), innermost_dataset(config.val_dataloader)[1]
    parts = [{k: v for k, v in part.items() if k != "pipeline"} for part in (labelled, scored)]
    text = repr([sorted(part.items()) for part in (*parts, detection_metric(config, Path(config.filename)))])
    known = study.data_hashes(config) | truth | {"fit": FIT}
    return {"sha256": hashlib.sha256((text + json.dumps(known)).encode()).hexdigest()} | known
