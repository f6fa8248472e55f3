"""Scores of exported key points over neighboring key frames, beside those of random returns."""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from ponderv2.datasets import LoadLidarSweeps
from ponderv2.errors import UserError
from ponderv2.evaluation.keypoint_files import read_keypoints
from ponderv2.evaluation.keypoint_scores import KeypointCounts, count_pair, on_static, total
from ponderv2.registry import DATASETS
from ponderv2.structures import MATCH_RADIUS

from .keypoint_export import RANDOM
from .launch import load_config
from .recipe_errors import must_have, recipe_errors
from .recipe_options import parse_options


def score_keypoints(args: argparse.Namespace) -> dict:
    """Score the key points of a folder, and the random returns in it, over pairs of neighboring key frames.

    Args:
        args: the command line of tools/score_keypoints.py.

    Returns:
        `pairs`, `radius`, and of `keypoints` and `random` the shares of `KeypointCounts.scores`, the mean number of
        points and its `counts`.

    Raises:
        UserError: the folder has no neighboring key frames of the recipe's test data, or no random returns.
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
    of_each: dict[str, list[KeypointCounts]] = {"keypoints": [], RANDOM: []}
    known: dict[int, dict] = {}
    for a, b in pairs:
        for k in (a, b):
            known = {j: frame for j, frame in known.items() if j in (a, b)}
            known.setdefault(k, _frame(dataset, k, args.keypoints))
        for first, second in ((known[a], known[b]), (known[b], known[a])):
            for name, counts in of_each.items():
                points = first[name]
                static = on_static(points.places, first["boxes"], first["velocities"])
                counts.append(count_pair(points, second[name], static, second["returns"]))
    result = {"pairs": len(pairs), "radius": MATCH_RADIUS, "source": known[pairs[-1][0]]["keypoints"].source}
    for name, counts in of_each.items():
        summed = total(counts)
        result[name] = summed.scores() | {"points": summed.points / len(counts), "counts": vars(summed)}
    return result


def _frame(dataset, index: int, folder: Path) -> dict:
    token = dataset.metainfo["tokens"][index]
    info = dataset.get_data_info(index)
    boxes = list(info["instances"])
    returns = dataset.pipeline(dict(info))["points"].tensor.numpy()[:, :3]
    return {
        "keypoints": read_keypoints(folder / f"{token}.npz"),
        RANDOM: read_keypoints(folder / RANDOM / f"{token}.npz"),
        "boxes": np.array([entry["bbox_3d"] for entry in boxes], dtype=np.float64).reshape(-1, 7),
        "velocities": np.array([entry.get("velocity", (np.nan, np.nan)) for entry in boxes]).reshape(-1, 2),
        "returns": returns,
    }
