"""Pictures of the first frames that are tested, whatever is drawn of them."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmdet3d.structures import Det3DDataSample
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ponderv2.visualization import save_png


class FirstFramesHook(Hook):
    """Draws the first test frames, and writes `<prefix>_0000.png` and so on.

    Attributes:
        prefix: beginning of the files' names.
        subject: what the pictures show, for the line at the end of the test.

    Args:
        folder: folder that takes the pictures.
        frames: number of frames that are drawn.
    """

    prefix: str
    subject: str

    def __init__(self, folder: str | Path, frames: int = 4) -> None:
        self.folder, self.frames = Path(folder), frames
        self._drawn = 0

    @abstractmethod
    def picture(self, sample: Det3DDataSample, runner: Runner) -> np.ndarray:
        """Draw a frame with its predictions."""

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
        for sample in outputs[: max(0, self.frames - self._drawn)]:
            save_png(self.picture(sample, runner), self.folder / f"{self.prefix}_{self._drawn:04d}.png")
            self._drawn += 1

    def after_test(self, runner: Runner) -> None:
        if is_main_process():
            print(f"{self._drawn} pictures of {self.subject} in {self.folder}", flush=True)
