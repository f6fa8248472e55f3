"""Scores of exported key points over neighboring key frames, beside those of what needs no network."""

import argparse
import math
from itertools import pairwise
from pathlib import Path

import numpy as np

from ponderv2.datasets import LoadLidarSweeps
from ponderv2.errors import UserError
from ponderv2.evaluation.keypoint_files import SampleKeypoints, read_keypoints
from ponderv2.evaluation.keypoint_scores import KeypointCounts, count_pair, on_static, total
from ponderv2.registry import DATASETS
from ponderv2.structures import MATCH_RADIUS

from .keypoint_export import BASELINES
from .launch import load_config
from .recipe_errors import must_have, recipe_errors
from .recipe_options import parse_options

KEYPOINTS = "keypoints"
STANDING = 0.2
"""Motion (m) of the LiDAR between two key frames below which the car stands: there anything repeats that is the same
from the same place."""


def score_keypoints(args: argparse.Namespace) -> dict:
    """Score the key points of a folder, and the baselines in it, over pairs of neighboring key frames.

    Args:
        args: the command line of tools/score_keypoints.py.

    Returns:
        `pairs`, `standing_pairs` (those between which the car moves less than `standing` meters), `radius`, `source`;
        and of `keypoints` and of each of `BASELINES` the shares of `KeypointCounts.scores`, the mean number of points
        and its `counts`, with the same of the pairs in which the car stands and moves as `standing` and `moving`.
        Shares of nothing are None.

    Raises:
        UserError: the folder has no neighboring key frames of the recipe's test data, lacks a baseline, or has files of
            several models or sources.
    """
    config = load_config(args.config, args.data_root, parse_options(args.cfg_options))
    must_have(config, ("test_dataloader",), "score key points")
    with recipe_errors(args.config, "cannot be built", args.cfg_options):
        # Sweeps alone are read; motion is known from boxes, which pipelines of pre-training leave out.
        changes = dict(pipeline=[dict(type=LoadLidarSweeps, num_sweeps=0)], history=0)
        dataset = DATASETS.build(dict(config.test_dataloader.dataset, **changes))
        dataset.full_init()
    frames = [k for k, token in enumerate(dataset.metainfo["tokens"]) if (args.keypoints / f"{token}.npz").is_file()]
    scenes = dataset.scene_tokens()
    pairs = [(a, b) for a, b in pairwise(frames) if b == a + 1 and scenes[a] and scenes[a] == scenes[b]]
    if not pairs:
        raise UserError(f"{args.keypoints}: it has no neighboring key frames of the test data of {args.config}")
    of_each: dict[str, list[KeypointCounts]] = {name: [] for name in (KEYPOINTS, *BASELINES)}
    standing: list[bool] = []
    known: dict[int, dict] = {}
    made_by: tuple[str, str] | None = None
    for a, b in pairs:
        for k in (a, b):
            known = {j: frame for j, frame in known.items() if j in (a, b)}
            if k not in known:
                known[k] = _frame(dataset, k, args.keypoints)
                made_by = made_by or _made_by(known[k][KEYPOINTS])
                _check_made_by(known[k], made_by, dataset.metainfo["tokens"][k], args.keypoints)
        standing.append(moved_distance(known[a][KEYPOINTS], known[b][KEYPOINTS]) < STANDING)
        for name, counts in of_each.items():
            both_ways = (known[a], known[b]), (known[b], known[a])
            counts.append(total(_count(name, first, second) for first, second in both_ways))
    result = {
        "pairs": len(pairs),
        "standing_pairs": sum(standing),
        "standing": STANDING,
        "radius": MATCH_RADIUS,
        "source": known[pairs[-1][0]][KEYPOINTS].source,
    }
    return result | {name: summary_of(counts, standing) for name, counts in of_each.items()}


def summary_of(counts: list[KeypointCounts], standing: list[bool]) -> dict:
    """Sum up the counts of pairs, of both directions each; and apart those in which the car stands, and moves."""
    summary = _summary(counts)
    for part, wanted in (("standing", True), ("moving", False)):
        own = [count for count, stands in zip(counts, standing, strict=True) if stands == wanted]
        summary[part] = _summary(own)
    return summary


def moved_distance(first: SampleKeypoints, second: SampleKeypoints) -> float:
    """Return how far (m) the LiDAR moved from one key frame to the other."""
    return float(np.linalg.norm(second.lidar2global[:3, 3] - first.lidar2global[:3, 3]))


def _made_by(points: SampleKeypoints) -> tuple[str, str]:
    return points.source, points.model


def _check_made_by(frame: dict, made_by: tuple[str, str], token: str, folder: Path) -> None:
    for name in (KEYPOINTS, *BASELINES):
        points = frame[name]
        where = f"key points {folder if name == KEYPOINTS else folder / name}/{token}.npz"
        if points.token != token:
            raise UserError(f"{where}: is of the key frame {points.token!r}")
        if _made_by(points) != made_by:
            (source, model), (other_source, other_model) = made_by, _made_by(points)
            raise UserError(
                f"{where}: is of the source {other_source} and the model {other_model[:12]}, and others are of "
                f"{source} and {model[:12]}; export all of them at once"
            )


def _count(name: str, first: dict, second: dict) -> KeypointCounts:
    points = first[name]
    static = on_static(points.places, first["boxes"], first["velocities"])
    return count_pair(points, second[name], static, second["returns"])


def _summary(counts: list[KeypointCounts]) -> dict:
    summed = total(counts)
    shares = {name: None if math.isnan(share) else share for name, share in summed.scores().items()}
    return shares | {"points": summed.points / (2 * len(counts)) if counts else None, "counts": vars(summed)}


def _frame(dataset, index: int, folder: Path) -> dict:
    token = dataset.metainfo["tokens"][index]
    info = dataset.get_data_info(index)
    boxes = list(info["instances"])
    returns = dataset.pipeline(dict(info))["points"].tensor.numpy()[:, :3]
    return {
        KEYPOINTS: read_keypoints(folder / f"{token}.npz"),
        **{name: read_keypoints(folder / name / f"{token}.npz") for name in BASELINES},
        "boxes": np.array([entry["bbox_3d"] for entry in boxes], dtype=np.float64).reshape(-1, 7),
        "velocities": np.array([entry.get("velocity", (np.nan, np.nan)) for entry in boxes]).reshape(-1, 2),
        "returns": returns,
    }
