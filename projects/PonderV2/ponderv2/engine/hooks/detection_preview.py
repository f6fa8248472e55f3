"""Pictures of a detector that is tested: what it found beside what is there."""

from pathlib import Path

import numpy as np
import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.dataset import BaseDataset
from mmengine.runner import Runner

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PackSensorInputs, gravity_boxes
from ponderv2.errors import UserError
from ponderv2.registry import HOOKS
from ponderv2.visualization import draw_detection_panel

from .first_frames import FirstFramesHook


@HOOKS.register_module()
class DetectionPreviewHook(FirstFramesHook):
    """Draws the boxes that are found in the first test frames, beside the true ones: from above and in the images.

    Images, LiDAR points and true boxes are those of the data set, whatever sensors the recipe reads. Writes
    `boxes_0000.png` and so on.

    Args:
        folder: folder that takes the pictures.
        frames: number of frames that are drawn.
        min_score: least score of a box that is drawn.
    """

    prefix, subject = "boxes", "boxes"

    def __init__(self, folder: str | Path, frames: int = 4, min_score: float = 0.3) -> None:
        super().__init__(folder, frames)
        self.min_score = min_score

    def picture(self, sample: Det3DDataSample, runner: Runner) -> np.ndarray:
        frame = _frame(runner.test_dataloader.dataset, sample.token)
        truth = (frame.get("eval_ann_info") or frame["ann_info"])["gt_bboxes_3d"]
        for step in (LoadCameras(), LoadLidarSweeps(num_sweeps=0), PackSensorInputs()):
            frame = step(frame)
        inputs, found = frame["inputs"], sample.pred_instances_3d
        return draw_detection_panel(
            inputs["img"],
            frame["data_samples"].cameras,
            inputs["rig"].lidar2img,
            inputs["points"],
            torch.from_numpy(gravity_boxes(truth)),
            torch.from_numpy(gravity_boxes(found.bboxes_3d[found.scores_3d >= self.min_score])),
            title=f"from above, ±54 m; predictions that score at least {self.min_score:g}",
        )


def _frame(dataset: BaseDataset, token: str) -> dict:
    """Find the key frame with a token, as the data set gives it to its pipeline."""
    for index in range(len(dataset)):
        frame = dataset.get_data_info(index)
        if frame["token"] == token:
            return frame
    raise UserError(f"DetectionPreviewHook: the test data has no key frame {token}")
