"""A way of the benchmark of a training step: it takes a step for each line that it is sent, and answers with its times.

python benchmarks/step_worker.py JSON: `recipe`, `data_root`, `options` by key, `threads`. It needs no more of the
package than every checkout of it has, so that another one can be measured by this file.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import torch
from mmengine.runner import Runner

from ponderv2.engine import load_config
from ponderv2.engine.allocator import keep_freed_memory

PARTS = ("data", "encoder", "head", "backward", "optimizer")


class Step:
    """Takes training steps of a recipe as mmengine does, and notes the seconds of its parts."""

    def __init__(self, recipe: str, data_root: str, options: dict, work_dir: str) -> None:
        config = load_config(Path(recipe), Path(data_root), {"model.init_cfg": None, **options})
        config.work_dir, config.log_level = work_dir, "ERROR"
        config.visualizer.vis_backends = []
        # In this process, so that what data costs is seen.
        config.train_dataloader.num_workers, config.train_dataloader.persistent_workers = 0, False
        runner = Runner.from_cfg(config)
        self.model = runner.model.train()
        self.loader = runner.build_dataloader(config.train_dataloader)
        self.batches = iter(self.loader)
        self.optim_wrapper = runner.build_optim_wrapper(config.optim_wrapper)
        self.marks: list[float] = []
        self.model.encoder.register_forward_hook(lambda *_: self._mark())

    def __call__(self) -> dict[str, float]:
        """Take a step; returns the seconds of its parts and its loss."""
        self.marks = []
        self._mark()
        batch = next(self.batches, None)
        if batch is None:
            self.batches = iter(self.loader)
            batch = next(self.batches)
        self._mark()
        with self.optim_wrapper.optim_context(self.model):
            losses = self.model(**self.model.data_preprocessor(batch, True), mode="loss")
        loss, _ = self.model.parse_losses(losses)
        self._mark()
        self.optim_wrapper.backward(loss)
        self._mark()
        self.optim_wrapper.step()
        self.optim_wrapper.zero_grad()
        self._mark()
        seconds = [after - before for before, after in zip(self.marks, self.marks[1:], strict=False)]
        return dict(zip(PARTS, seconds, strict=True)) | {"loss": float(loss.detach())}

    def _mark(self) -> None:
        self.marks.append(time.perf_counter())


def main(recipe: str, data_root: str, options: dict, threads: int) -> None:
    """Answer every line with a step, until there are no more."""
    answers = sys.stdout
    # mmengine logs to standard output.
    sys.stdout = sys.stderr
    torch.set_num_threads(threads)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as work_dir:
        step = Step(recipe, data_root, options, work_dir)
        for _ in sys.stdin:
            print(json.dumps(step()), file=answers, flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
