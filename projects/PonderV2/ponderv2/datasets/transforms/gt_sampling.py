"""Ground-truth sampling (GT-paste): annotated objects of other frames are added to points, boxes and images."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from logging import INFO, WARNING
from pathlib import Path

import numpy as np
import torch
from mmcv.ops import box_iou_rotated
from mmdet3d.structures import LiDARInstance3DBoxes, LiDARPoints
from mmengine.logging import print_log

from ponderv2.datasets.gravity_boxes import gravity_boxes
from ponderv2.datasets.gt_tables import GroundTruthTables
from ponderv2.datasets.lidarseg_classes import IGNORE_LABEL, LIDARSEG_CLASSES
from ponderv2.datasets.nuscenes_constants import DETECTION_CLASSES
from ponderv2.datasets.pipeline_transforms import must_be_told
from ponderv2.errors import UserError
from ponderv2.geometry import points_in_box
from ponderv2.registry import TRANSFORMS
from ponderv2.shapes import Bool, Float, Int

from .gt_sampling_images import ObjectPicture, add_pictures
from .sample_generator import sample_generator
from .switchable import SwitchableTransform

SAMPLE_GROUPS = {
    "car": 2,
    "truck": 3,
    "construction_vehicle": 7,
    "bus": 4,
    "trailer": 6,
    "barrier": 2,
    "motorcycle": 6,
    "bicycle": 6,
    "pedestrian": 2,
    "traffic_cone": 2,
}
"""The number of objects of each class that a frame is filled up to; published (CenterPoint, UVTR, UniPAD)."""

_LAG_TOLERANCE = 0.025
"""Seconds: half of a LiDAR sweep, so that sweeps of two frames count as equally old."""

_GROUND_MARGIN = 0.1
"""Metres above the bottom of a box in which sampled points get no label. In four frames of streets-v1 8.1 % of the
points in boxes are of another class than the box, nearly all of them of the road; above 0.1 m it is 0.2 %."""


@dataclass(frozen=True)
class _Candidate:
    """An object of the database: its class, and its row in the table of the class."""

    name: str
    row: np.void


@TRANSFORMS.register_module()
class GroundTruthSampling(SwitchableTransform):
    """Fill frames up with annotated objects of other frames (SECOND; "UnifiedObjectSample" in UVTR and UniPAD).

    For each class of `groups` objects are drawn, without repeating one in a frame, until the frame would have the
    group's number of it. A sampled object keeps the place it had in its own LiDAR frame. It is left out where its box,
    seen from above, overlaps a box of the frame or an object that was added before it. The scene's points inside its
    box give way to the object's points, whose time lags stay; those from sweeps older than the scene's oldest are left
    out. Its box, label and velocity (NaN where unknown) are added to the ground truth.

    With `images` its picture is added as well, in the camera that it was cut from, resized to the rectangle of its box
    in this frame's calibration: far ones first, and real objects that are nearer are put back over them. An object
    without a picture is added to the points alone. Points that a sampled object hides, or whose pixels it takes, stay
    (published: `modify_points=False`).

    In a data set it samples objects of the key frames that the data set uses, and of no others (`use_frames`). It has
    to be in the data set's own pipeline for that.

    Where points have labels (`LoadPointLabels`), those of a sampled object get the class of its box, as the database
    knows no others, and in the lowest 0.1 m, where the ground is, none. With weak labels that would add what the
    fraction takes away, and is refused.

    The transform belongs after loading and before anything that moves points, boxes or pixels or changes colours, so
    that sampled and real objects are augmented alike. The published code distorts the colours of the frame first.

    Args:
        data_root: folder of the data set, which holds the database.
        database: folder that tools/create_data.py wrote, relative to `data_root`; with `--image-crops` for images.
        groups: numbers of objects by class name; None takes the published `SAMPLE_GROUPS`.
        classes: class names of the labels in the ground truth.
        min_points: smallest number of LiDAR points of an object that is sampled; published 5.
        rate: share of the missing objects that is drawn; published 1.
        images: whether pictures are added, too.

    Raises:
        FileNotFoundError: the database is not there.
        UserError: a class name is unknown, or the database lacks pictures; or, on sampling, the sample's data set uses
            a part of its key frames and has not said which, or a part of its labels of points.
        ValueError: a sample is augmented already, lacks points, boxes or images, or is one to predict all points of.
    """

    def __init__(
        self,
        data_root: str,
        database: str = "nuscenes_gt_database_train",
        groups: dict[str, int] | None = None,
        classes: Sequence[str] = DETECTION_CLASSES,
        min_points: int = 5,
        rate: float = 1.0,
        images: bool = False,
    ) -> None:
        super().__init__()
        self.groups = dict(SAMPLE_GROUPS if groups is None else groups)
        self.classes = tuple(classes)
        self.min_points, self.rate, self.images = min_points, rate, images
        self.tables = GroundTruthTables(Path(data_root) / database)
        for where, known in (("the classes of the data set", self.classes), ("the database", self.tables)):
            unknown = sorted(set(self.groups) - set(known))
            if unknown:
                raise UserError(f"groups: {unknown} are not in {where}, which has {list(known)}")
        if images and not self.tables.files.image:
            raise UserError(f"{Path(data_root) / database} has no pictures; make it with --image-crops --overwrite")
        self.files = self.tables.files
        self._told = False
        # Places in the tables, of what is sampled: processes share the tables, which have a million rows.
        self.rows = {name: _places(self._large_enough(name)) for name in self.groups}

    def use_frames(self, tokens: Collection[str], every: bool) -> None:
        """Sample the objects of these key frames alone, see `UsesFrames`.

        Labels of other frames would leak into training on a fraction of them otherwise. How many objects are left is
        logged; classes without any are not added to frames.

        Raises:
            UserError: the database does not say which frames its objects are from, and `tokens` are not all frames.
        """
        self._told = True
        if not self.tables.knows_frames:
            if every:
                return
            raise UserError(
                f"{self.tables.folder}: its objects do not say which key frame they are from (key sample_token), and "
                f"{len(tokens)} key frames are used alone; make it anew with tools/create_data.py, or use all frames"
            )
        large = {name: self._large_enough(name) for name in self.groups}
        self.rows = {
            name: _places(of_class & self.tables.from_frames(name, tokens)) for name, of_class in large.items()
        }
        left, total = sum(map(len, self.rows.values())), sum(int(of_class.sum()) for of_class in large.values())
        empty = [name for name, rows in self.rows.items() if not len(rows) and large[name].any()]
        print_log(
            f"GroundTruthSampling: {left} of {total} objects of {self.tables.folder} are sampled, those of the "
            f"{len(tokens)} key frames that are used" + (f"; none is left of {', '.join(empty)}" if empty else ""),
            logger="current",
            level=INFO if left else WARNING,
        )

    def _large_enough(self, name: str) -> Bool[np.ndarray, "n"]:
        return self.tables[name]["num_points"] >= self.min_points

    def transform(self, results: dict) -> dict:
        if not self._told:
            must_be_told(self, results)
        self._check(results)
        boxes = results["gt_bboxes_3d"]
        real = gravity_boxes(boxes)
        chosen = self._draw(results["gt_labels_3d"], sample_generator(None, results))
        drawn = np.array([candidate.row["box"] for candidate in chosen]).reshape(-1, 7)
        free = free_of_collision(real, drawn)
        chosen, added = [c for c, is_free in zip(chosen, free, strict=True) if is_free], drawn[free]
        if not chosen:
            return results
        self._add_points(results, chosen)
        velocities = np.array([candidate.row["velocity"] for candidate in chosen], dtype=np.float32)
        values = np.concatenate([added.astype(np.float32), velocities], axis=1)[:, : boxes.tensor.shape[1]]
        added_boxes = LiDARInstance3DBoxes(values, box_dim=values.shape[1], origin=(0.5, 0.5, 0.5))
        results["gt_bboxes_3d"] = LiDARInstance3DBoxes.cat([boxes, added_boxes])
        labels = [self.classes.index(candidate.name) for candidate in chosen]
        results["gt_labels_3d"] = np.concatenate([results["gt_labels_3d"], np.array(labels, dtype=np.int64)])
        if self.images:
            add_pictures(results, real, self._pictures(chosen))
        return results

    def _check(self, results: dict) -> None:
        where = results.get("info_name", "sample")
        needed = ["points", "gt_bboxes_3d", "gt_labels_3d"] + (["img"] if self.images else [])
        missing = [key for key in needed if key not in results]
        if missing:
            raise ValueError(f"{where}: GroundTruthSampling needs {missing}; load them before")
        if "inverse_map" in results:
            raise ValueError(f"{where}: GroundTruthSampling is for training, and this sample is to be predicted")
        if {"label_fraction", "labeled"} & results.keys() and "pts_semantic_mask" in results:
            raise UserError(
                f"{where}: fraction_by='points' and keep_unlabeled take labels away that GroundTruthSampling would "
                "add; leave one out"
            )
        for key in ("lidar_aug", "img_aug"):
            matrices = results.get(key)
            if matrices is not None and not np.array_equal(matrices, np.broadcast_to(np.eye(4), matrices.shape)):
                raise ValueError(
                    f"{where}: GroundTruthSampling comes before augmentation, but {key} is not the identity"
                )

    def _draw(self, labels: np.ndarray, rng: np.random.Generator) -> list[_Candidate]:
        chosen = []
        for name, group in self.groups.items():
            present = int((labels == self.classes.index(name)).sum())
            rows, table = self.rows[name], self.tables[name]
            count = min(round(self.rate * max(0, group - present)), len(rows))
            places = rng.choice(len(rows), count, replace=False) if count else []
            chosen += [_Candidate(name, table[rows[place]]) for place in places]
        return chosen

    def _add_points(self, results: dict, chosen: list[_Candidate]) -> None:
        points = results["points"].tensor.numpy()
        kept = np.ones(len(points), dtype=bool)
        oldest = points[:, 4].max(initial=0.0) + _LAG_TOLERANCE
        parts, labels = [], []
        for candidate in chosen:
            row = candidate.row
            kept[points_in_box(points[:, :3], row["box"])] = False
            part = self.files.points(candidate.name, int(row["first_point"]), int(row["num_points"]))
            part = part[part[:, 4] <= oldest]
            on_ground = part[:, 2] < _GROUND_MARGIN - row["box"][5] / 2
            labels.append(np.where(on_ground, IGNORE_LABEL, LIDARSEG_CLASSES.index(candidate.name)))
            part[:, :3] = part[:, :3] + row["box"][:3]
            parts.append(part)
        # First, as published: a limit on the number of voxels takes those of the last points away.
        added = np.concatenate([*parts, points[kept]])
        results["points"] = LiDARPoints(torch.from_numpy(added), points_dim=points.shape[1])
        results.pop("key_frame_rows", None)
        if "pts_semantic_mask" in results:
            results["pts_semantic_mask"] = np.concatenate([*labels, results["pts_semantic_mask"][kept]])

    def _pictures(self, chosen: list[_Candidate]) -> list[ObjectPicture]:
        return [
            ObjectPicture(
                camera=c.row["camera"].decode(),
                box=c.row["box"],
                pixels=self.files.crop(c.name, int(c.row["first_byte"]), int(c.row["num_bytes"])),
            )
            for c in chosen
            if c.row["camera"]
        ]


def free_of_collision(fixed: Float[np.ndarray, "n 7"], drawn: Float[np.ndarray, "k 7"]) -> Bool[np.ndarray, "k"]:
    """Tell which drawn boxes overlap neither a fixed one nor an accepted one before them, seen from above.

    Args:
        fixed: boxes (x, y, z, l, w, h, yaw) that stay, whether they overlap or not.
        drawn: boxes of the same form, accepted or refused one after another.
    """
    boxes = np.concatenate([fixed, drawn])[:, [0, 1, 3, 4, 6]]
    boxes = torch.from_numpy(boxes).float()
    # mmcv's "clockwise", the default, is that of images, whose y points down: counter-clockwise here.
    overlap = box_iou_rotated(boxes[len(fixed) :], boxes).numpy() > 0
    taken = np.zeros(len(boxes), dtype=bool)
    taken[: len(fixed)] = True
    for k in range(len(drawn)):
        taken[len(fixed) + k] = not (overlap[k] & taken).any()
    return taken[len(fixed) :]


def _places(chosen: Bool[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
    return np.flatnonzero(chosen).astype(np.int32)
