"""Checks of the labels of points: there, one for each point, of the 32 categories, and those of the boxes' objects."""

from collections.abc import Sequence

import numpy as np

from ponderv2.datasets.data_files import DataFileError, check_point_file, read_label_file, read_point_file
from ponderv2.datasets.lidarseg_classes import LIDARSEG_CATEGORIES, LIDARSEG_CLASSES, class_labels
from ponderv2.geometry import points_in_box

from .finding import Finding, Result, best_reading, spelled
from .sampled_frame import SampledFrame

MIN_POINTS = 100
"""Number of points in boxes that are needed to tell."""

MAX_OTHER = 0.3
"""Largest share of the points in boxes that are of another class; the ground under objects is, 8 % in streets-v1."""

DOCUMENTED = "the 32 categories"
"""The reading of the numbers in files of labels that is documented."""


def check_point_labels(frames: Sequence[SampledFrame]) -> list[Finding]:
    """Check the files of labels, and whether points in boxes have the label of the box's class."""
    labeled = [frame for frame in frames if frame.label_file is not None]
    files = _files(labeled, len(frames))
    return [files, _in_boxes(labeled if files.result is Result.PASS else [], files)]


def _files(labeled: Sequence[SampledFrame], count: int) -> Finding:
    name, convention = "point labels", f"a byte for each point of the sweep, 0 to {len(LIDARSEG_CATEGORIES) - 1}"
    if not labeled:
        reason = "no pts_semantic_mask_path; with nuScenes-lidarseg unpacked, tools/create_data.py adds it"
        return Finding(name, convention, Result.UNVERIFIABLE, reason)
    problems = []
    for frame in labeled:
        try:
            read_label_file(frame.label_file, check_point_file(frame.lidar_file), f"{frame.name}: labels")
        except DataFileError as error:
            problems.append(str(error))
    if problems:
        return Finding(name, convention, Result.FAIL, f"{len(problems)} of {len(labeled)}, first {problems[0]}")
    if len(labeled) < count:
        evidence = f"{count - len(labeled)} of {count} key frames have no pts_semantic_mask_path"
        return Finding(name, convention, Result.FAIL, evidence)
    return Finding(name, convention, Result.PASS, f"those of {count} key frames")


def _in_boxes(frames: Sequence[SampledFrame], files: Finding) -> Finding:
    name, convention = "labels in boxes", "points in a box have the label of its class; 32 categories, not 16 classes"
    if not frames:
        reason = "no labels" if files.result is Result.UNVERIFIABLE else "see point labels"
        return Finding(name, convention, Result.UNVERIFIABLE, reason)
    total, wrong = 0, {DOCUMENTED: 0, "the 16 classes": 0}
    for frame in frames:
        raw = read_label_file(frame.label_file)
        points = read_point_file(frame.lidar_file)[:, :3].astype(np.float64)
        # What the files would mean under each reading.
        readings = (class_labels(raw), raw.astype(np.int64) - 1)
        for box, class_name in zip(frame.boxes, frame.class_names, strict=True):
            if class_name not in LIDARSEG_CLASSES:
                continue
            inside = points_in_box(points, box)
            total += len(inside)
            for reading, labels in zip(wrong, readings, strict=True):
                wrong[reading] += int((labels[inside] != LIDARSEG_CLASSES.index(class_name)).sum())
    if total < MIN_POINTS:
        return Finding(name, convention, Result.UNVERIFIABLE, f"{total} points in boxes; {MIN_POINTS} are needed")
    shares = {reading: count / total for reading, count in wrong.items()}
    evidence = f"points of another class, of {total} in boxes: {spelled(shares)}"
    best = best_reading(shares)
    if shares[DOCUMENTED] <= MAX_OTHER:
        return Finding(name, convention, Result.PASS, evidence)
    if shares[best] <= MAX_OTHER:
        return Finding(name, convention, Result.FAIL, f"labels are those of {best}; {evidence}")
    return Finding(
        name, convention, Result.FAIL, f"labels do not fit the boxes; of another sweep or data set? {evidence}"
    )
