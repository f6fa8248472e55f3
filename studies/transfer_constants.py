"""The constant predictors of a transfer study: what is reached from the same labels without looking."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config

from ponderv2.engine import innermost_dataset, set_data_root

from .constant_predictor import score_constant
from .recipe_parts import dataset_at, detection_metric
from .runs import write_json
from .transfer_study import CONSTANT, DetectorRun, TransferStudy


def constant_scores(
    study: TransferStudy, score: Callable[[Config, str], dict[str, float]] = score_constant
) -> dict[DetectorRun, dict[str, float]]:
    """Score the constant predictor of each choice of labelled frames, once for recipes with the same data.

    Scores are kept in the study's folder `constant`, and computed anew when the data, their choice or the metric have
    changed.

    Args:
        study: the study.
        score: function of a recipe and of the key of its training data set.

    Returns:
        Metrics by run, with the init `CONSTANT`.
    """
    done: dict[str, dict[str, float]] = {}
    found = {}
    for modality in study.modalities:
        for fraction in study.fractions:
            for seed in study.seeds:
                run = DetectorRun(modality, fraction, CONSTANT, seed)
                config, key = study.config_of(run)
                settings = _settings(study, config, key)
                path = study.out / CONSTANT / f"{run.name}.json"
                kept = json.loads(path.read_text()) if path.is_file() else {}
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


def _settings(study: TransferStudy, config: Config, key: str) -> dict[str, str]:
    """Return hashes of what a score depends on: both data sets but for their pipelines, the metric, the info files."""
    labelled, scored = dataset_at(config, key, Path(config.filename)), innermost_dataset(config.val_dataloader)[1]
    parts = [{k: v for k, v in part.items() if k != "pipeline"} for part in (labelled, scored)]
    text = repr([sorted(part.items()) for part in (*parts, detection_metric(config, Path(config.filename)))])
    files = study.data_hashes(config)
    return {"sha256": hashlib.sha256((text + json.dumps(files)).encode()).hexdigest()} | files
