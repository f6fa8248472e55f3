"""Pictures of a segmentor that is tested: true and predicted classes of the points."""

from pathlib import Path

import numpy as np
import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.runner import Runner

from ponderv2.datasets.data_files import read_point_file
from ponderv2.datasets.lidarseg_classes import LIDARSEG_CLASSES, LIDARSEG_PALETTE
from ponderv2.errors import UserError
from ponderv2.registry import HOOKS
from ponderv2.visualization import draw_segmentation_panel

from .first_frames import FirstFramesHook


@HOOKS.register_module()
class SegmentationPreviewHook(FirstFramesHook):
    """Draws the points of the first test frames from above: by true class, by predicted class, and by error.

    Points are those of the file, as they are scored. Writes `segments_0000.png` and so on.

    Args:
        folder: folder that takes the pictures.
        frames: number of frames that are drawn.
        reach: half the side of each view, metres.
    """

    prefix, subject = "segments", "classes"

    def __init__(self, folder: str | Path, frames: int = 4, reach: float = 54.0) -> None:
        super().__init__(folder, frames)
        self.reach = reach

    def picture(self, sample: Det3DDataSample, runner: Runner) -> np.ndarray:
        points = torch.from_numpy(read_point_file(sample.lidar_path))
        predicted = sample.pred_pts_seg.pts_semantic_mask.cpu()
        truth = sample.get("eval_ann_info", {}).get("pts_semantic_mask")
        truth = torch.full_like(predicted, -1) if truth is None else truth
        if not len(points) == len(predicted) == len(truth):
            raise UserError(
                f"SegmentationPreviewHook: sample {sample.token} has {len(predicted)} predictions for {len(points)} "
                "points of its file; does the pipeline begin the inverse map (LoadPointLabels with evaluation=True)?"
            )
        finite = torch.isfinite(points).all(dim=1)
        return draw_segmentation_panel(
            points[finite],
            truth[finite],
            predicted[finite],
            LIDARSEG_CLASSES,
            LIDARSEG_PALETTE,
            title=f"sample {sample.token}, from above, ±{self.reach:g} m",
            reach=self.reach,
        )
