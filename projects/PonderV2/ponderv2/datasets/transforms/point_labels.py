"""Loading of the labels of LiDAR points."""

import numpy as np
from mmcv.transforms import BaseTransform

from ponderv2.datasets.data_files import read_label_file
from ponderv2.datasets.label_fractions import choose_points
from ponderv2.datasets.lidarseg_classes import IGNORE_LABEL, class_labels
from ponderv2.registry import TRANSFORMS

from .inverse_map import begin_inverse_map


@TRANSFORMS.register_module()
class LoadPointLabels(BaseTransform):
    """Load the labels of the key frame's points; it comes right after `LoadLidarSweeps`.

    The transform adds `pts_semantic_mask` `[P]`, int64: the label 0 to 15 of each row of `points`, `IGNORE_LABEL` for
    ignored categories, for points of earlier sweeps, with weak labels (`label_fraction`) for all but the chosen
    points, and for all points of frames that are used without their labels (`labeled` is False). For evaluation it adds
    `original_labels`, those of all points of the key frame's file in its order, and begins the inverse map, by which
    each of these points gets a prediction. A frame without a file of labels, which the data set lets through for the
    test set alone, gets the inverse map alone.

    Args:
        evaluation: whether the frame is predicted and scored rather than trained on.

    Raises:
        ValueError: `LoadLidarSweeps` was not run before, or something was run between the two.
        DataFileError: the file of labels is missing (then it is a FileNotFoundError, too), has another number of bytes
            than the sweep has points, or a label that is no category.
    """

    def __init__(self, evaluation: bool = False) -> None:
        self.evaluation = evaluation

    def transform(self, results: dict) -> dict:
        where = results.get("info_name", "sample")
        rows, count = results.get("key_frame_rows"), len(results.get("points", ()))
        if rows is None or rows.max(initial=-1) >= count:
            raise ValueError(f"{where}: LoadPointLabels needs the points as LoadLidarSweeps loads them, right before")
        if self.evaluation:
            begin_inverse_map(results)
        if not results.get("labeled", True):
            results["pts_semantic_mask"] = np.full(count, IGNORE_LABEL)
            return results
        path = results.get("pts_semantic_mask_path")
        if path is None and self.evaluation:
            return results
        if path is None:
            raise ValueError(f"{where}: no pts_semantic_mask_path; LoadPointLabels needs PonderNuScenesSegDataset")
        labels = class_labels(read_label_file(path, len(rows), f"{where}: pts_semantic_mask_path: labels"))
        if self.evaluation:
            results["original_labels"] = labels
        share = results.get("label_fraction")
        if share is not None and not self.evaluation:
            chosen = choose_points(labels != IGNORE_LABEL, share["fraction"], results["token"], share["seed"])
            labels = np.where(chosen, labels, IGNORE_LABEL)
        mask = np.full(count, IGNORE_LABEL)
        mask[rows[rows >= 0]] = labels[rows >= 0]
        results["pts_semantic_mask"] = mask
        return results
