"""The constant predictor: the boxes of the labelled frames as one fixed set, predicted in every frame.

It sees no sensor, so what it scores is owed to where objects tend to stand around the car, how large they are and how
fast. A detector that has learned no more than that scores as much.

    python -m studies.constant_predictor RECIPE --data-root DIR --cfg-options train_dataloader.dataset.fraction=0.1
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config

from ponderv2.command_line import run_tool, writable_file
from ponderv2.datasets import gravity_boxes
from ponderv2.engine import innermost_dataset, load_config, parse_options, recipe_errors
from ponderv2.registry import DATASETS, METRICS

from .arguments import add_constant_arguments
from .constant_fit import ConstantPrediction, LabelledFrame, fit_constant
from .place_spread import choose_spread
from .quiet import messages_from
from .recipe_parts import dataset_at, detection_metric, training_dataset_key
from .validation_log import METRICS as METRIC_NAMES

FIT = 2
"""Number of the way in which boxes are fitted and scored. Whoever changes it raises it, so that none is reused."""


def score_constant(config: Config, dataset_key: str | None = None) -> dict[str, float]:
    """Fit a constant predictor to the labelled frames of a detector's recipe, and score it as the detector is.

    Of the validation data set it reads the tokens of the frames, no label; the metric is the recipe's own, so that the
    true boxes are those of nuScenes' tables.

    Args:
        config: the recipe; `fraction`, `fraction_seed` and `load_interval` of its training data set say which frames
            are labelled.
        dataset_key: key of the training data set; None takes the innermost one of `train_dataloader`.

    Returns:
        The metrics of `DetectionScore.flat`: `mAP`, `NDS`, the errors, and AP by class; `place_spread` in metres, see
        `choose_spread`.

    Raises:
        UserError: the recipe has no official metric, or an info file or the tables are missing or damaged.
    """
    path = Path(config.filename or "recipe")
    train = dataset_at(config, dataset_key or training_dataset_key(config, path), path)
    val = innermost_dataset(config.val_dataloader)[1]
    evaluator = detection_metric(config, path)
    # The log's table would drown those of the study.
    with messages_from(logging.ERROR):
        labelled = DATASETS.build(train | {"pipeline": [], "test_mode": False})
        scored = DATASETS.build(val | {"pipeline": [], "test_mode": True, "load_eval_anns": False})
        constant, spread = _fit(labelled)
        metric = METRICS.build(evaluator | {"submission_dir": None})
        metric.dataset_meta = scored.metainfo
        tokens = [scored.get_data_info(k)["token"] for k in range(len(scored))]
        metric.process(None, [constant.sample(token) for token in tokens])
        scores = metric.evaluate(len(scored))
    return {key.rpartition("/")[2]: float(value) for key, value in scores.items()} | {"place_spread": spread}


def _fit(labelled: torch.utils.data.Dataset) -> tuple[ConstantPrediction, float]:
    """Return the predictor that is fitted to the labelled frames with the spread that suits them, and that spread."""
    frames, classes = list(_labelled_frames(labelled)), labelled.metainfo["classes"]
    scenes = [labelled.get_data_info(k).get("scene_token", "") for k in range(len(labelled))]
    spread = choose_spread(frames, scenes, classes)
    return fit_constant(frames, classes, spread), spread


def _labelled_frames(dataset: torch.utils.data.Dataset) -> Iterator[LabelledFrame]:
    for k in range(len(dataset)):
        truth = dataset.get_data_info(k)["ann_info"]
        boxes = truth["gt_bboxes_3d"]
        velocities = boxes.tensor[:, 7:9].double().numpy()
        yield LabelledFrame(np.concatenate([gravity_boxes(boxes), velocities], axis=1), truth["gt_labels_3d"])


def run_constant(given: argparse.Namespace) -> None:
    """Print mAP and NDS of the constant predictor for a recipe, and write all its scores where `--json` says."""
    writable_file(given.json, "--json")
    config = load_config(given.config, given.data_root, parse_options(given.cfg_options))
    with recipe_errors(given.config, "cannot be scored"):
        scores = score_constant(config)
    told = ", ".join(f"{name} {100 * scores[name]:.1f}" for name in METRIC_NAMES)
    print(f"{told}; places spread by {scores['place_spread']:g} m")
    if given.json:
        given.json.write_text(json.dumps(scores, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(run_tool(__doc__, add_constant_arguments, run_constant))
