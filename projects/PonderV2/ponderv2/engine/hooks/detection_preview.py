"""Pictures of a detector that is tested: what it found beside what is there."""

from collections.abc import Sequence
from pathlib import Path

import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.dataset import BaseDataset
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PackSensorInputs, gravity_boxes
from ponderv2.errors import UserError
from ponderv2.registry import HOOKS
from ponderv2.visualization import draw_detection_panel, save_png


@HOOKS.register_module()
class DetectionPreviewHook(Hook):
    """Draws the boxes that are found in the first test frames, beside the true ones: from above and in the images.

    Images, LiDAR points and true boxes are those of the data set, whatever sensors the recipe reads. Writes
    `boxes_0000.png` and so on.

    Args:
        folder: folder that takes the pictures.
        frames: number of frames that are drawn.
        min_score: least score of a box that is drawn.
    """

    def __init__(self, folder: str | Path, frames: int = 4, min_score: float = 0.3) -> None:
        self.folder = Path(folder)
        self.frames = frames
        self.min_score = min_score
        self._drawn = 0

    def before_test(self, runner: Runner) -> None:
        self._drawn = 0

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[Det3DDataSample] | None = None,
    ) -> None:
        if not is_main_process():
            return
        before = self._drawn
        for sample in outputs[: max(0, self.frames - self._drawn)]:
            self._draw(sample, runner.test_dataloader.dataset)
            self._drawn += 1
        if before < self._drawn == self.frames:
            MMLogger.get_current_instance().info("%d pictures of boxes in %s", self.frames, self.folder)

    def _draw(self, sample: Det3DDataSample, dataset: BaseDataset) -> None:
        frame = _frame(dataset, sample.token)
        truth = (frame.get("eval_ann_info") or frame["ann_info"])["gt_bboxes_3d"]
        for step in (LoadCameras(), LoadLidarSweeps(num_sweeps=0), PackSensorInputs()):
            frame = step(frame)
        inputs, found = frame["inputs"], sample.pred_instances_3d
        picture = draw_detection_panel(
            inputs["img"],
            frame["data_samples"].cameras,
            inputs["rig"].lidar2img,
            inputs["points"],
            torch.from_numpy(gravity_boxes(truth)),
            torch.from_numpy(gravity_boxes(found.bboxes_3d[found.scores_3d >= self.min_score])),
            title=f"from above, ±54 m; predictions that score at least {self.min_score:g}",
        )
        save_png(picture, self.folder / f"boxes_{self._drawn:04d}.png")


def _frame(dataset: BaseDataset, token: str) -> dict:
    """Find the key frame with a token, as the data set gives it to its pipeline."""
    for index in range(len(dataset)):
        frame = dataset.get_data_info(index)
        if frame["token"] == token:
            return frame
    raise UserError(f"DetectionPreviewHook: the test data has no key frame {token}")
