"""Pictures during pre-training: real beside rendered."""

from pathlib import Path

import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ponderv2.engine.unwrapping import unwrapped
from ponderv2.registry import HOOKS
from ponderv2.visualization import sample_panel, save_png


@HOOKS.register_module()
class RenderPreviewHook(Hook):
    """Draws real and rendered colour, depth and classes of a validation sample, as a PNG and for TensorBoard.

    Args:
        interval: iterations between previews; there is always one after the last iteration.
        stride: pixels between rendered rays.
        sample: index of the sample in the validation data set, or in the training set when there is no validation.
    """

    priority = "LOW"

    def __init__(self, interval: int = 1000, stride: int = 8, sample: int = 0) -> None:
        self.interval, self.stride, self.sample = interval, stride, sample

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.every_n_train_iters(runner, self.interval) or runner.iter + 1 == runner.max_iters:
            self._draw(runner)

    @master_only
    @torch.no_grad()
    def _draw(self, runner: Runner) -> None:
        loader = (runner.val_loop or runner.train_loop).dataloader
        model = unwrapped(runner.model)
        was_training = model.training
        model.eval()
        data = model.data_preprocessor(loader.collate_fn([loader.dataset[self.sample]]))
        fields = model.render_images(data["inputs"], self.stride)
        model.train(was_training)
        meta = loader.dataset.metainfo
        panel = sample_panel(data, fields, meta.get("palette"), meta.get("classes", ()))
        path = Path(runner.work_dir) / "previews" / f"iter_{runner.iter + 1:06d}.png"
        save_png(panel, path)
        runner.visualizer.add_image("render", panel, step=runner.iter + 1)
