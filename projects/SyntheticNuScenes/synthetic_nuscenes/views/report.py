"""This module describes a data set in numbers: where its classes are, how often, and how alike its drives are."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray
from nuscenes import NuScenes
from nuscenes.eval.detection.constants import DETECTION_NAMES
from nuscenes.eval.detection.utils import category_to_detection_name
from nuscenes.eval.lidarseg.utils import LidarsegClassMapper
from tqdm import tqdm

from synthetic_nuscenes.output.tables import LIDAR_CHANNEL

from .class_spread import (
    BEARINGS,
    RANGES,
    cell_areas,
    cell_counts,
    even_share,
    highest_share,
    overlaps,
    standing_cells,
)
from .points_in_car import labels_of, open_dataset, points_in_car, to_car

HALF = 0.5
"""A cell that has a class in a larger share of the drives is told of."""
GROUND = ("driveable_surface", "other_flat", "sidewalk", "terrain")


@dataclass(frozen=True)
class Boxes:
    """`Boxes` are those of the detection task with a LiDAR point, which is what the devkit scores."""

    places: ndarray
    """`[n, 2]` x (ahead) and y (left) in the car's frame, metres."""
    labels: ndarray
    """`[n]` place of the class in the devkit's `DETECTION_NAMES`."""
    drives: ndarray
    """`[n]` place of the drive in the table of scenes."""
    frames: ndarray
    """`[n]` place of the key frame in the table of samples."""


def describe(nuscenes: NuScenes, progress: bool = True) -> dict:
    """Describe a data set in plain values for JSON.

    | key | content |
    |---|---|
    | `version`, `drives`, `key_frames` | of the tables |
    | `cells` | bearings, limits of the rings, area of a cell of each ring, and what is counted |
    | `classes` | of each class of the detection task: `boxes`, `drives` and `frames_with` (share) that have one, `per_frame` (mean, least, most), `boxes_in_cells` and `drives_in_cells` as `[ring][bearing]`, `highest_share`, `highest_cell`, `even_share`, `cells_in_more_than_half` |
    | `sameness` | the class with the highest share, classes with a cell in more than half of the drives, the overlap of the two drives that are most alike and of the median pair |
    | `lidarseg` | of each class: `points`, `share`, `frames_with`; absent where the data set has no labels of points |
    | `descriptions` | number of drives whose description has each of its parts, between commas |

    Args:
        nuscenes: the data set.
        progress: whether a progress bar is shown, on a terminal.
    """  # noqa: E501
    boxes = _boxes(nuscenes)
    drives, frames = len(nuscenes.scene), len(nuscenes.sample)
    counts = cell_counts(boxes.places, boxes.labels, boxes.drives, len(DETECTION_NAMES), drives)
    classes = {
        name: _describe_class(counts[k], boxes.frames[boxes.labels == k], frames)
        for k, name in enumerate(DETECTION_NAMES)
    }
    lidarseg, alike = _points(nuscenes, progress)
    return {
        "version": nuscenes.version,
        "drives": drives,
        "key_frames": frames,
        "cells": {
            "bearings": BEARINGS,
            "ranges": list(RANGES),
            "areas": [round(area, 3) for area in cell_areas().tolist()],
            "of": "boxes of all key frames with a LiDAR point, middles in the car's frame; bearing 0 is ahead, then "
            "counter-clockwise in sectors of 30 degrees; metres and square metres",
        },
        "classes": classes,
        "sameness": _sameness(classes) | alike,
        **({"lidarseg": lidarseg} if lidarseg else {}),
        "descriptions": _descriptions(nuscenes),
    }


def write_report(path: Path, content: dict) -> None:
    """Write a description as JSON; a list of numbers is one line."""
    text = json.dumps(content, indent=1)
    path.write_text(re.sub(r"\[\s+([-\d.,\s]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n")


def _boxes(nuscenes: NuScenes) -> Boxes:
    drive_of = {row["token"]: k for k, row in enumerate(nuscenes.scene)}
    places, labels, drives, frames = [np.zeros((0, 2))], [], [], []
    for frame, sample in enumerate(nuscenes.sample):
        rows = [nuscenes.get("sample_annotation", token) for token in sample["anns"]]
        named = [(row, category_to_detection_name(row["category_name"])) for row in rows if row["num_lidar_pts"] > 0]
        named = [(row, name) for row, name in named if name is not None]
        if not named:
            continue
        centers = np.array([row["translation"] for row, _ in named])
        places.append(to_car(nuscenes, sample["data"][LIDAR_CHANNEL], centers)[:, :2])
        labels += [DETECTION_NAMES.index(name) for _, name in named]
        drives += [drive_of[sample["scene_token"]]] * len(named)
        frames += [frame] * len(named)
    return Boxes(np.concatenate(places), *(np.array(column, np.int64) for column in (labels, drives, frames)))


def _describe_class(counts: ndarray, frames_of_boxes: ndarray, frames: int) -> dict:
    occupied = counts > 0
    share, cell = highest_share(occupied)
    per_frame = np.bincount(frames_of_boxes, minlength=frames)
    often = np.argwhere(occupied.mean(axis=0) > HALF)
    return {
        "boxes": len(frames_of_boxes),
        "drives": int(occupied.any(axis=(1, 2)).sum()),
        "frames_with": round(float((per_frame > 0).mean()), 4),
        "per_frame": {
            "mean": round(float(per_frame.mean()), 3),
            "least": int(per_frame.min()),
            "most": int(per_frame.max()),
        },
        "highest_share": round(share, 4),
        "highest_cell": _cell(*cell) if share else None,
        "even_share": round(even_share(occupied), 4),
        "cells_in_more_than_half": [_cell(*map(int, found)) for found in often],
        "boxes_in_cells": counts.sum(axis=0).tolist(),
        "drives_in_cells": occupied.sum(axis=0).tolist(),
    }


def _cell(ring: int, bearing: int) -> str:
    return f"{RANGES[ring]:g}-{RANGES[ring + 1]:g} m at {bearing * 360 // BEARINGS} degrees"


def _sameness(classes: dict[str, dict]) -> dict:
    name = max(classes, key=lambda name: classes[name]["highest_share"])
    first = classes[name]
    return {
        "highest_share": first["highest_share"],
        "class": name,
        "cell": first["highest_cell"],
        "even_share": first["even_share"],
        "classes_with_a_cell_in_more_than_half": [k for k, v in classes.items() if v["cells_in_more_than_half"]],
    }


def _points(nuscenes: NuScenes, progress: bool) -> tuple[dict, dict]:
    """Return the shares of the classes of points, and how alike the first key frames of drives are."""
    mapper = LidarsegClassMapper(nuscenes) if getattr(nuscenes, "lidarseg", None) else None
    names = list(mapper.coarse_name_2_coarse_idx_mapping) if mapper else []
    points, frames = np.zeros((2, max(1, len(names))), np.int64)
    standing = []
    first = {scene["first_sample_token"] for scene in nuscenes.scene}
    for sample in tqdm(nuscenes.sample, unit="frame", desc="report", disable=None if progress else True, leave=False):
        data = sample["data"][LIDAR_CHANNEL]
        labels = labels_of(nuscenes, mapper, data) if mapper else None
        if mapper:
            found = np.bincount(labels, minlength=len(names))
            points, frames = points + found, frames + (found > 0)
        if sample["token"] in first:
            place = points_in_car(nuscenes, data)
            ground = np.isin(labels, [names.index(name) for name in GROUND]) if mapper else place[:, 2] < 0.3
            standing.append(standing_cells(place[~ground]))
    total = max(1, int(points[1:].sum()))
    lidarseg = {
        name: {
            "points": int(points[k]),
            "share": round(int(points[k]) / total, 6),
            "frames_with": round(int(frames[k]) / len(nuscenes.sample), 4),
        }
        for k, name in enumerate(names)
        if k > 0
    }
    return lidarseg, _alike([scene["name"] for scene in nuscenes.scene], np.stack(standing))


def _alike(names: list[str], standing: ndarray) -> dict:
    if len(names) < 2:
        return {}
    overlap = overlaps(standing)
    pairs = np.triu_indices(len(names), 1)
    best = int(overlap[pairs].argmax())
    return {
        "most_alike_drives": [names[pairs[0][best]], names[pairs[1][best]]],
        "overlap_of_most_alike": round(float(overlap[pairs].max()), 4),
        "overlap_of_the_median_pair": round(float(np.median(overlap[pairs])), 4),
    }


def _descriptions(nuscenes: NuScenes) -> dict[str, int]:
    parts = Counter(
        part for scene in nuscenes.scene for part in {p.strip() for p in scene["description"].split(",")} if part
    )
    return dict(sorted(parts.items(), key=lambda item: (-item[1], item[0])))


def make_report(root: Path, path: Path, benchmark: str | None = None, progress: bool = True) -> list[Path]:
    """Describe a data set in a JSON file and in pictures beside it; returns their paths, that of the JSON first.

    Args:
        root: folder of the data set.
        path: the JSON file.
        benchmark: name of the data set, where it has one.
        progress: whether a progress bar is shown, on a terminal.

    Raises:
        FileNotFoundError: `root` holds no data set.
        OSError: a file cannot be written.
    """
    # Not at the top: drawing takes a second to import, and counting does without.
    from .report_pictures import draw_report

    nuscenes = open_dataset(root)
    content = {"benchmark": benchmark} | describe(nuscenes, progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_report(path, content)
    return [path, *draw_report(nuscenes, content, path)]
