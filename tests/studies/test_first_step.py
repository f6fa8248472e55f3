"""What a training builds before its first step, built without a trace."""

import multiprocessing
import os
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer

from ponderv2.engine import load_config
from ponderv2.errors import UserError
from studies.first_step import build_first_step

RECIPE = Path(__file__).parents[2] / "configs" / "tiny" / "uvtr_lidar_synthetic_head_first.py"


@pytest.fixture
def make_config(streets):
    def make(**changes) -> Config:
        options = {
            "model.encoder.grid.size": (36, 36, 4),
            "model.encoder.voxel_size": (0.375, 0.375, 0.25),
            "model.init_cfg": None,
        }
        return load_config(RECIPE, streets, options | changes)

    return make


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optim_wrapper.optimizer.lrr", 1),
        ("train_cfg.max_itres", 5),
        ("val_cfg.fp61", True),
        ("param_scheduler.0.totl_steps", 5),
        ("custom_hooks.0.aftr", 5),
        ("train_dataloader.num_workers", -1),
        ("val_dataloader.batch_sise", 1),
    ],
)
def test_what_cannot_be_built_is_one_error_of_the_recipe(make_config, key, value):
    with pytest.raises(UserError, match=rf"{RECIPE.name} cannot be built: .*{key.rpartition('.')[2]}"):
        build_first_step(make_config(**{key: value}), RECIPE)


def test_nothing_stays_behind(make_config, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    announced = []
    monkeypatch.setattr(Visualizer, "add_config", lambda self, config: announced.extend(self._vis_backends))
    server = {"type": "WandbVisBackend"}
    config = make_config(visualizer={"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}, server]})
    before = config.to_dict()
    drawn = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    kept = [dict(kind._instance_dict) for kind in (MMLogger, MessageHub, Visualizer)]
    environment, processes = dict(os.environ), multiprocessing.active_children()
    build_first_step(config, RECIPE)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == drawn
    assert [dict(kind._instance_dict) for kind in (MMLogger, MessageHub, Visualizer)] == kept
    assert (dict(os.environ), multiprocessing.active_children()) == (environment, processes)
    assert config.to_dict() == before
    assert announced == ["LocalVisBackend"]
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr().out == ""
