"""Errors of the velocities of found boxes, beside those of saying that everything stands still.

The official mAVE is a mean over boxes at the recall that each model reaches by itself, and over classes. Here models
are compared on the boxes that all of them found.
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nuscenes import NuScenes
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.common.loaders import add_center_dist, filter_eval_boxes, load_gt, load_prediction
from nuscenes.eval.detection.data_classes import DetectionBox, DetectionConfig

from ponderv2.datasets.info_file import load_info_file
from ponderv2.datasets.prepare import open_tables
from ponderv2.errors import UserError
from ponderv2.evaluation.nuscenes_score import split_of

MOVING = 0.5
"""Speed in m/s above which a box moves."""


@dataclass(frozen=True)
class Match:
    """A true box and the velocity that was predicted for it.

    Attributes:
        true: true velocity (vx, vy), m/s.
        found: predicted velocity, m/s.
        score: score of the predicted box.
    """

    true: tuple[float, float]
    found: tuple[float, float]
    score: float

    @property
    def speed(self) -> float:
        """The true speed, m/s: the error of a predictor that says zero."""
        return math.hypot(*self.true)

    @property
    def error(self) -> float:
        """Length of the difference of the velocities, m/s."""
        return math.dist(self.true, self.found)


Matches = dict[tuple[str, int], Match]
"""By sample and place of the true box among those of the sample."""


def match_boxes(truth: Mapping[str, list], found: Mapping[str, list], distance: float = 2.0) -> Matches:
    """Match boxes of one class as the devkit does: by descending score, each to the nearest true box that is left.

    Args:
        truth: true boxes of each sample, with `translation` and `velocity`.
        found: predicted boxes of each sample, with `detection_score` as well.
        distance: largest distance of the centers seen from above, metres.

    Returns:
        The matches whose true velocity is known.
    """
    matches: Matches = {}
    for token, true in truth.items():
        left = dict(enumerate(true))
        for box in sorted(found.get(token, []), key=lambda b: -b.detection_score):
            if not left:
                break
            near = min(left, key=lambda k: math.dist(left[k].translation[:2], box.translation[:2]))
            if math.dist(left[near].translation[:2], box.translation[:2]) >= distance:
                continue
            velocity = tuple(left.pop(near).velocity)
            if not any(map(math.isnan, velocity)):
                matches[token, near] = Match(
                    velocity, tuple(map(float, np.nan_to_num(box.velocity))), box.detection_score
                )
    return matches


def rows_of(matches: Mapping[str, Matches], boxes: int) -> list[dict]:
    """Return a row for each model and for standing still, on the boxes that all models found and on the moving of them.

    Args:
        matches: matches of each model.
        boxes: number of true boxes.

    Returns:
        Rows whose errors of moving boxes are None where none of the shared boxes moves.

    Raises:
        UserError: no box was found by all models, so that nothing can be compared.
    """
    recalls = {name: len(found) / max(boxes, 1) for name, found in matches.items()}
    shared = sorted(set.intersection(*(set(found) for found in matches.values())))
    if not shared:
        each = ", ".join(f"{name} (recall {recall:.3f})" for name, recall in recalls.items())
        raise UserError(f"of {boxes} true boxes none that has a velocity was found by all of {each}")
    rows = []
    for name, found in matches.items():
        chosen = [found[key] for key in shared]
        errors = _errors([(match.error, match.speed) for match in chosen])
        rows.append({"model": name, "recall": recalls[name], **errors})
    first = next(iter(matches.values()))
    still = [first[key].speed for key in shared]
    rows.append({"model": "standing still", "recall": None, **_errors([(speed, speed) for speed in still])})
    nothing = rows[-1]["error_moving"]
    return [row | {"of_still": row["error_moving"] / nothing if row["moving"] else None} for row in rows]


def describe_row(row: Mapping, name: str) -> str:
    """Say a row of `rows_of` in words, for a class of that name."""
    recall = "" if row["recall"] is None else f"recall {row['recall']:.3f}  "
    line = f"{row['model']}: {recall}{name} on {row['boxes']} shared boxes {row['error']:.3f} m/s"
    if not row["moving"]:
        return f"{line}, of which none moves"
    return (
        f"{line}, on the {row['moving']} that move {row['error_moving']:.3f} m/s, {row['of_still']:.2f} of "
        "standing still"
    )


def _errors(pairs: Sequence[tuple[float, float]]) -> dict:
    moving = [error for error, speed in pairs if speed > MOVING]
    error_moving = float(np.mean(moving)) if moving else None
    error = float(np.mean([error for error, _ in pairs]))
    return {"boxes": len(pairs), "error": error, "moving": len(moving), "error_moving": error_moving}


def run_velocity_errors(given: argparse.Namespace) -> None:
    """Print the table of the submissions, and write it where asked."""
    info_file = given.data_root / given.ann_file
    infos = load_info_file(info_file)
    frames = {frame["token"]: frame for frame in infos["data_list"]}
    tables = open_tables(given.data_root, infos["metainfo"]["version"], camera_sweeps=False)
    split = split_of(tables, list(frames), info_file)
    config = config_factory("detection_cvpr_2019")
    if given.name not in config.class_names:
        raise UserError(f"--class: expected one of {tuple(config.class_names)}, got {given.name!r}")
    tokens = [token for token, frame in frames.items() if not given.with_past or _has_past(frame, info_file)]
    truth = _of_class(_in_range(tables, load_gt(tables, split, DetectionBox), config), given.name, tokens)
    matches = {}
    for path in given.submissions:
        found, _ = load_prediction(str(path), config.max_boxes_per_sample, DetectionBox)
        boxes = _of_class(_in_range(tables, found, config), given.name, tokens)
        matches[str(path)] = match_boxes(truth, _most_certain(boxes, given.min_score))
    boxes = sum(map(len, truth.values()))
    if not boxes:
        raise UserError(
            f"{info_file}: --class {given.name}: no true box of it in the {len(tokens)} key frames compared"
        )
    rows = rows_of(matches, boxes)
    for row in rows:
        print(describe_row(row, given.name))
    if given.json is not None:
        text = json.dumps({"class": given.name, "rows": rows}, indent=2, allow_nan=False)
        given.json.write_text(text + "\n")


def _has_past(frame: Mapping, info_file: Path) -> bool:
    if "prev" not in frame:
        raise UserError(f"{info_file}: --with-past: key frame {frame['token']} has no key 'prev', its frame before")
    return bool(frame["prev"])


def _in_range(tables: NuScenes, boxes: EvalBoxes, config: DetectionConfig) -> EvalBoxes:
    return filter_eval_boxes(tables, add_center_dist(tables, boxes), config.class_range) if boxes.all else boxes


def _of_class(boxes: EvalBoxes, name: str, tokens: Sequence[str]) -> dict[str, list]:
    return {token: [box for box in boxes.boxes.get(token, []) if box.detection_name == name] for token in tokens}


def _most_certain(boxes: Mapping[str, list], least: float) -> dict[str, list]:
    return {token: [box for box in found if box.detection_score >= least] for token, found in boxes.items()}
