"""What a training builds before its first step, built without training."""

import copy
import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.utils import ManagerMixin
from torch import nn

from ponderv2.engine import prepare_training, recipe_errors

from .recipe_parts import type_name

_WRITE_FILES_ALONE = ("LocalVisBackend", "TensorboardVisBackend")


def build_first_step(config: Config, recipe: Path) -> None:
    """Build the hooks, loops, optimiser and schedulers of a recipe as a training does, and take no step.

    Nothing is written but into a temporary folder, no process starts, and no device but the CPU is used. Loggers and
    other instances that mmengine keeps, the generators of random numbers and the environment are left as they were.

    Args:
        config: the recipe with all its options and the folder of the data; it stays as it is.
        recipe: its path, for the message.

    Raises:
        UserError: something cannot be built.
    """
    config = copy.deepcopy(config)
    with tempfile.TemporaryDirectory() as folder, _left_as_it_was(), recipe_errors(recipe, "cannot be built"):
        config.merge_from_dict({"work_dir": folder, "launcher": "none", "log_level": "ERROR"})
        _keep_to_files(config)
        runner = _UnstartedRunner.from_cfg(config)
        loader = runner.build_dataloader(runner._train_dataloader)
        # A loop over iterations starts the processes of its loader when it is built.
        loader.num_workers, loader.prefetch_factor, loader.timeout = 0, None, 0
        runner._train_dataloader = loader
        prepare_training(runner, recipe)


class _UnstartedRunner(Runner):
    """A runner that goes no further than to the first step: it moves no model and tells and keeps nothing."""

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        return model

    def dump_config(self) -> None:
        pass

    def _log_env(self, env_cfg: dict) -> None:
        pass


def _keep_to_files(config: Config) -> None:
    """Leave out what would announce a run to a server."""
    visualizer = config.get("visualizer")
    if isinstance(visualizer, Mapping) and visualizer.get("vis_backends"):
        backends = [b for b in visualizer["vis_backends"] if type_name(b) in _WRITE_FILES_ALONE]
        visualizer["vis_backends"] = backends


@contextmanager
def _left_as_it_was() -> Iterator[None]:
    managed = {kind: dict(kind._instance_dict) for kind in _kinds(ManagerMixin)}
    environment, start_method = dict(os.environ), torch.multiprocessing.get_start_method(allow_none=True)
    drawn, drawn_by_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(drawn)
        np.random.set_state(drawn_by_numpy)
        torch.multiprocessing.set_start_method(start_method, force=True)
        os.environ.clear()
        os.environ.update(environment)
        for logger in MMLogger._instance_dict.values():
            if logger not in managed[MMLogger].values():
                for handler in logger.handlers:
                    handler.close()
        for kind in _kinds(ManagerMixin):
            kind._instance_dict.clear()
            kind._instance_dict.update(managed.get(kind, {}))


def _kinds(base: type) -> Iterator[type]:
    for below in base.__subclasses__():
        yield below
        yield from _kinds(below)
