"""Progress that is seen while a run goes on, also when its output goes to a file."""

import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from ponderv2.registry import HOOKS

_WINDOW = 60.0
_HEADLINES = (
    *("NDS", "mAP", "mATE", "mASE", "mAOE", "mAVE", "mAAE"),
    *("mIoU", "fwIoU", "accuracy", "official_mIoU", "official_fwIoU"),
    *("psnr", "guess_psnr", "abs_rel", "guess_abs_rel", "semantic_miou", "guess_semantic_miou"),
    *("feature_cosine", "guess_feature_cosine"),
)
"""Scores in the line after an evaluation, in this order: of detection, of segmentation, and of rendering, each beside
what guessing reaches; last the cosine of rendered features and those of the image."""
_SHOWN = 7
"""Number of scores there of a metric that has none of these."""
_LINE = re.compile(r"^(?:epoch \d+/\d+  )?(?:iter|val|test) \d+/\d+  .*time left .*$", re.MULTILINE)


@HOOKS.register_module()
class ProgressHook(Hook):
    """Prints one line every few seconds, of wall-clock time, while a model is trained, validated or tested.

        epoch 2/12  iter 120/360  loss 2.31  0.82 s/it  time left 3:17

    `LoggerHook` logs by iterations, and fifty of them are a minute or an hour, depending on the model and the machine.
    The first and the last iteration always have a line. The loss is the mean of the total loss since the line before;
    the pace is that of the last minute. The time left is that of the whole training, without validations. Only the
    main process prints. An evaluation ends with its main scores, whatever the level of the log, and a test with the
    file that has all of them.

    Args:
        seconds: the least time between two lines; a line comes after the first iteration that ends later than that.
        clock: returns the present time in seconds.

    Raises:
        ValueError: `seconds` is negative.
    """

    priority = "VERY_LOW"

    def __init__(self, seconds: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        if seconds < 0:
            raise ValueError(f"seconds: expected a time between two lines, at least 0, got {seconds}")
        self.seconds, self.clock = seconds, clock
        self._training: _Pace | None = None
        self._evaluation: _Pace | None = None
        self._losses: list[torch.Tensor] = []

    def before_train(self, runner: Runner) -> None:
        self._training, self._losses = _Pace(self.clock, runner.iter), []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None, outputs: dict | None = None
    ) -> None:
        if outputs is not None and "loss" in outputs:
            self._losses.append(torch.as_tensor(outputs["loss"]).detach())
        done = runner.iter + 1
        if not self._training.is_due(done, runner.max_iters, self.seconds):
            return
        counted = f"iter {done}/{runner.max_iters}"
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            epochs = f"epoch {runner.epoch + 1}/{runner.max_epochs}"
            counted = f"{epochs}  iter {batch_idx + 1}/{len(runner.train_dataloader)}"
        if self._losses:
            counted += f"  loss {torch.stack(self._losses).float().mean().item():.4g}"
            self._losses.clear()
        _print(f"{counted}  {self._training.describe(done, runner.max_iters)}")

    def before_val(self, runner: Runner) -> None:
        self._evaluation = _Pace(self.clock)

    def before_test(self, runner: Runner) -> None:
        self._evaluation = _Pace(self.clock)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None, outputs: Sequence | None = None
    ) -> None:
        self._tell_evaluation("val", batch_idx + 1, len(runner.val_dataloader))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None, outputs: Sequence | None = None
    ) -> None:
        self._tell_evaluation("test", batch_idx + 1, len(runner.test_dataloader))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        _tell_scores("val", metrics)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        _tell_scores("test", metrics)
        # mmengine's LoggerHook, which comes before this hook, has written it.
        scores = Path(runner.log_dir) / f"{runner.timestamp}.json"
        if metrics and scores.is_file():
            _print(f"scores: {scores}")

    def after_val(self, runner: Runner) -> None:
        # A validation between two iterations of training is not part of the pace of the training.
        if self._training is not None:
            self._training.restart(runner.iter)

    def _tell_evaluation(self, what: str, done: int, total: int) -> None:
        if self._evaluation.is_due(done, total, self.seconds):
            _print(f"{what} {done}/{total}  {self._evaluation.describe(done, total)}")


def last_progress(text: str) -> str | None:
    """Find the last line that `ProgressHook` printed in a text; None when there is none."""
    lines = _LINE.findall(text)
    return lines[-1] if lines else None


def _tell_scores(what: str, metrics: dict[str, float] | None) -> None:
    named = [(name.rpartition("/")[2], value) for name, value in (metrics or {}).items()]
    main = [(name, value) for headline in _HEADLINES for name, value in named if name == headline]
    shown = main or named[:_SHOWN]
    if shown:
        _print(f"{what}  " + "  ".join(f"{name} {value:.4g}" for name, value in shown))


class _Pace:
    """Keeps when the last line was printed, and how long an iteration has taken in the last minute."""

    def __init__(self, clock: Callable[[], float], done: int = 0) -> None:
        self.clock = clock
        self._told: float | None = None
        self.restart(done)

    def restart(self, done: int) -> None:
        """Forget the times so far: the next iteration starts now."""
        self._marks = deque([(self.clock(), done)])
        self._measured_from_start = self._told is None

    def is_due(self, done: int, total: int, seconds: float) -> bool:
        """Whether a line is due after this iteration, the first, the last, or one that ends late enough."""
        return self._told is None or done >= total or self.clock() - self._told >= seconds

    def describe(self, done: int, total: int) -> str:
        """Return the pace and the time left, as the end of a line that is printed now."""
        now = self._told = self.clock()
        while len(self._marks) > 1 and now - self._marks[1][0] >= _WINDOW:
            self._marks.popleft()
        start, before = self._marks[0]
        pace = (now - start) / max(1, done - before)
        if self._measured_from_start:
            # The first iteration also starts workers and caches; it tells little about the others.
            self._marks.clear()
            self._measured_from_start = False
        self._marks.append((now, done))
        return f"{pace:.2f} s/it  time left {_duration(pace * (total - done))}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _print(line: str) -> None:
    if is_main_process():
        print(line, flush=True)
