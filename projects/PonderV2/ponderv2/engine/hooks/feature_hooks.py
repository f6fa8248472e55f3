"""Around pre-training with features: fitting their reduction before it, and watching for a collapse during it."""

import math
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import broadcast, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import Tensor

from ponderv2.engine.unwrapping import unwrapped
from ponderv2.errors import UserError
from ponderv2.geometry import sample_maps
from ponderv2.models import ImageFeaturePretrainer
from ponderv2.models.rendering_pretrainer import rays_of
from ponderv2.registry import HOOKS
from ponderv2.shapes import Float

REDUCTION_FILE = "feature_reduction.safetensors"


@HOOKS.register_module()
class FitFeatureReductionHook(Hook):
    """Fits the reduction of the teacher's features to frames of the training set, before training.

    It is fitted where the features are compared, at the pixels of rays with a LiDAR return: of whole pictures, the sky
    would be the first of the components, and the mean would not be theirs.

    It is written to `work_dir/feature_reduction.safetensors`, and is part of the checkpoints. A training that is
    resumed, or whose work dir has the file already, keeps it. The frames are spread evenly over the set, so equal data
    give equal reductions, and runs can share a cache.

    Args:
        num_frames: number of frames; all where there are fewer.
    """

    def __init__(self, num_frames: int = 64) -> None:
        if num_frames < 1:
            raise UserError(f"num_frames: expected a whole number of at least 1, got {num_frames}")
        self.num_frames = num_frames

    def before_train(self, runner: Runner) -> None:
        model = _pretrainer(runner, "FitFeatureReductionHook")
        branch, path = model.image_branch, Path(runner.work_dir) / REDUCTION_FILE
        if branch.reduction.fitted:
            return
        if is_main_process():
            if path.is_file():
                branch.reduction.load(path, branch.fingerprint)
            else:
                self._fit(runner, model)
                branch.reduction.save(path, branch.fingerprint)
        for value in branch.reduction.buffers():
            broadcast(value)

    def _fit(self, runner: Runner, model: ImageFeaturePretrainer) -> None:
        loader = runner.train_dataloader
        count = len(loader.dataset)
        rows = np.unique(np.linspace(0, count - 1, min(self.num_frames, count)).round().astype(int))
        branch = model.image_branch

        def features() -> Iterator[Float[Tensor, "p c"]]:
            for row in rows.tolist():
                inputs = model.data_preprocessor(loader.collate_fn([loader.dataset[row]]))["inputs"]
                images, rays = model.pictures_of(inputs).images, rays_of(inputs)
                maps = branch.raw_maps(images.flatten(0, 1)).unflatten(0, images.shape[:2])
                yield sample_maps(maps, branch.cells, rays.pixels)[rays.has_depth]

        with _untouched_generators():
            variances = branch.reduction.fit(features())
        kept = float(variances[: branch.channels].sum() / variances.sum())
        MMLogger.get_current_instance().info(
            "features of LiDAR returns in %d frames: the first %d of %d components have %.1f %% of the variance: %s",
            *(len(rows), branch.channels, len(variances), 100 * kept, Path(runner.work_dir) / REDUCTION_FILE),
        )


@HOOKS.register_module()
class CollapseAlarmHook(Hook):
    """Warns when features collapse: when they are hardly spread, or in few directions (`collapse_measures`).

    A batch without LiDAR returns (`returns` in its log is 0) has no measures, and neither counts nor ends a row of
    iterations; all else that is not a number counts.

    Args:
        least: smallest value of each measure that is watched, by its name in the logs. The default watches the 2-D
            branch; rendered features start out alike, so `rank_3d` is worth watching after some hundred steps only.
        begin: first iteration that counts.
        patience: number of iterations in a row below the limit before the alarm, which is repeated after as many.
        stop: whether the alarm ends the training.

    Raises:
        UserError: no measure is watched, `patience` is below 1; in training, a measure is not logged, or the alarm ends
            the training.
    """

    def __init__(
        self, least: Mapping[str, float] | None = None, begin: int = 0, patience: int = 20, stop: bool = False
    ) -> None:
        self.least = dict({"spread_2d": 0.1, "rank_2d": 2.0} if least is None else least)
        if not self.least or patience < 1:
            raise UserError(
                f"CollapseAlarmHook: expected measures to watch and a patience of at least 1, got {self.least} and "
                f"{patience}"
            )
        self.begin, self.patience, self.stop = begin, patience, stop
        self._below = dict.fromkeys(self.least, 0)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: Mapping | None = None
    ) -> None:
        """Count how long each measure has been below its limit, and sound the alarm."""
        if runner.iter < self.begin:
            return
        for name, least in self.least.items():
            if outputs is None or name not in outputs:
                raise UserError(f"CollapseAlarmHook: {name!r} is not logged; there are {sorted(outputs or ())}")
            value = float(outputs[name])
            if math.isnan(value) and float(outputs.get("returns", math.nan)) == 0:
                continue
            # Not a number is no healthy feature either.
            self._below[name] = 0 if value >= least else self._below[name] + 1
            if self._below[name] < self.patience:
                continue
            self._below[name] = 0
            said = (
                f"features collapse: {name} is {value:.3g}, below {least:g} for {self.patience} iterations; raise the "
                "weight of the anchor (model.image_branch.anchor), or lower the learning rate"
            )
            if self.stop:
                raise UserError(f"iteration {runner.iter + 1}: {said}")
            MMLogger.get_current_instance().warning(said)


def _pretrainer(runner: Runner, name: str) -> ImageFeaturePretrainer:
    model = unwrapped(runner.model)
    if not isinstance(model, ImageFeaturePretrainer):
        raise UserError(f"{name}: expected an ImageFeaturePretrainer, got {type(model).__name__}")
    return model


@contextmanager
def _untouched_generators() -> Iterator[None]:
    """Give the block random numbers of its own: a run that fits and one that loads train on the same."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        yield
    random.setstate(states[0])
    np.random.set_state(states[1])
