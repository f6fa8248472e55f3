"""nuScenes key frames with boxes to detect."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmdet3d.structures import LiDARInstance3DBoxes

from ponderv2.registry import DATASETS
from ponderv2.shapes import Bool, Float, Int

from .frame_store import InstanceColumns
from .info_file import InfoFileError
from .nuscenes_dataset import PonderNuScenesDataset


@DATASETS.register_module()
class PonderNuScenesDetDataset(PonderNuScenesDataset):
    """Key frames with `LiDARInstance3DBoxes` of mmdet3d 1.x: (x, y, z, l, w, h, yaw, vx, vy).

    `ann_info` has, with one entry for each box that is kept: `gt_bboxes_3d`, `gt_labels_3d`, `gt_velocity_known`,
    `num_lidar_pts` and `instances`. Boxes of other categories (label -1) are never kept. A velocity that the
    tables do not tell stays NaN in the boxes, through filters and augmentation, so that a loss can leave it out;
    as 0, the published way, it teaches that unknown boxes stand still.

    Args:
        data_root: folder that holds the info file, `samples/` and `sweeps/`.
        ann_file: info file or files, see `PonderNuScenesDataset`.
        pipeline: transforms, or their configs.
        use_valid_flag: whether boxes without any LiDAR or radar point are left out; published.
        min_lidar_points: smallest number of LiDAR points of a box that is kept; mmdet3d without the valid flag: 1.
        unknown_velocity: value of unknown velocities in the boxes, "nan" or "zero".
        filter_empty_gt: whether training takes another frame instead of one without boxes; off, as frames without
            boxes teach what is background.
        **kwargs: arguments of `PonderNuScenesDataset`.

    Raises:
        InfoFileError: the file numbers its categories otherwise than the class does; or, when a frame is read, a box
            is not of finite numbers and sizes above 0.
        ValueError: `unknown_velocity` is neither word.
    """

    def __init__(
        self,
        data_root: str,
        ann_file: str | Sequence[str],
        pipeline: list,
        use_valid_flag: bool = True,
        min_lidar_points: int = 0,
        unknown_velocity: str = "nan",
        filter_empty_gt: bool = False,
        **kwargs,
    ) -> None:
        if unknown_velocity not in ("nan", "zero"):
            raise ValueError(f"unknown_velocity: expected 'nan' or 'zero', got {unknown_velocity!r}")
        self.min_lidar_points = min_lidar_points
        self.unknown_velocity = unknown_velocity
        super().__init__(
            data_root=data_root,
            ann_file=ann_file,
            pipeline=pipeline,
            use_valid_flag=use_valid_flag,
            filter_empty_gt=filter_empty_gt,
            **kwargs,
        )

    def check_info(self, metainfo: dict, path: Path) -> None:
        """Check that the labels of the file mean the classes of the data set."""
        check_categories_of_boxes(metainfo, path, self.METAINFO["classes"])

    def parse_ann_info(self, info: dict) -> dict:
        """Make boxes, labels and what is known of them from the instances that are kept."""
        where = info.get("info_name", "key frame")
        kept = [(f"{where}: instances[{k}]", i) for k, i in enumerate(info["instances"]) if self._keep(i)]
        labels = np.array([self.label_mapping[i["bbox_label_3d"]] for _, i in kept], dtype=np.int64)
        boxes = np.array([_box(i, key) for key, i in kept], dtype=np.float32).reshape(-1, 7)
        velocities = np.array([_velocity(i, key) for key, i in kept], dtype=np.float32).reshape(-1, 2)
        known = np.isfinite(velocities).all(axis=1)
        velocities[~known] = math.nan if self.unknown_velocity == "nan" else 0.0
        if self.with_velocity:
            boxes = np.concatenate([boxes, velocities], axis=1)
        boxes = LiDARInstance3DBoxes(boxes, box_dim=boxes.shape[1], origin=(0.5, 0.5, 0.5))
        return {
            "gt_bboxes_3d": boxes.convert_to(self.box_mode_3d),
            "gt_labels_3d": labels,
            "gt_velocity_known": known,
            "num_lidar_pts": np.array([i["num_lidar_pts"] for _, i in kept], dtype=np.int64),
            "instances": [instance for _, instance in kept],
        }

    def _shown(self, instances: InstanceColumns) -> Bool[np.ndarray, "n"]:
        """Tell which boxes are kept, as `_keep` does for one."""
        kept = (self._mapped_labels(instances) >= 0) & (instances.lidar_points >= self.min_lidar_points)
        return kept & instances.valid if self.use_valid_flag else kept

    def _counted_labels(self, instances: InstanceColumns) -> Int[np.ndarray, "m"]:
        return self._mapped_labels(instances)[self._shown(instances)]

    def _keep(self, instance: dict) -> bool:
        if self.label_mapping.get(instance["bbox_label_3d"], -1) < 0:
            return False
        if self.use_valid_flag and not instance["bbox_3d_isvalid"]:
            return False
        return bool(instance["num_lidar_pts"] >= self.min_lidar_points)


def check_categories_of_boxes(metainfo: dict, path: Path, classes: Sequence[str]) -> None:
    """Check that the labels of the boxes of an info file are the places of their classes in `classes`.

    Raises:
        InfoFileError: a class has another label.
    """
    for name, label in metainfo.get("categories", {}).items():
        if name in classes and classes.index(name) != label:
            raise InfoFileError(
                f"info file {path}: metainfo.categories has {name!r} as {label}, "
                f"expected {classes.index(name)}, its place in {classes}"
            )


def _box(instance: dict, key: str) -> Float[np.ndarray, "7"]:
    box = _float32(instance["bbox_3d"][:7])
    if box.shape != (7,) or not np.isfinite(box).all() or not (box[3:6] > 0).all():
        raise InfoFileError(
            f"{key}.bbox_3d: expected finite numbers x, y, z, l, w, h, yaw with sizes above 0, "
            f"got {instance['bbox_3d']}"
        )
    return box


def _velocity(instance: dict, key: str) -> Float[np.ndarray, "2"]:
    given = instance.get("velocity", (None, None))
    velocity = _float32([math.nan if v is None else v for v in given])
    if velocity.shape != (2,):
        raise InfoFileError(f"{key}.velocity: expected two numbers, or two times None where unknown, got {given!r}")
    return velocity


def _float32(values: Sequence) -> Float[np.ndarray, "n"]:
    """Return numbers in float32, those that are too large as infinity; anything else as nothing."""
    try:
        with np.errstate(over="ignore"):
            return np.array(values, dtype=np.float64).astype(np.float32)
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0, dtype=np.float32)
