"""The hook writes a file that loads by itself, of a pre-training and of a detector, and speaks up before training."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from torch import nn

from ponderv2 import load_encoder
from ponderv2.engine import CostHook, EncoderExportHook, load_config
from ponderv2.registry import MODELS


class Foreign(nn.Module):
    """A neck that is on no list."""


def _model_of(encoder: torch.nn.Module) -> torch.nn.Module:
    model = torch.nn.Module()
    model.encoder = encoder
    return model


def _runner(config: Config, encoder: nn.Module | None, work_dir: Path) -> Runner:
    """A runner with what the hook reads, and without what a real one needs."""
    runner = object.__new__(Runner)
    runner._hooks = []
    runner.cfg, runner.model, runner._work_dir = config, _model_of(encoder), str(work_dir)
    runner._hooks = []
    return runner


@pytest.mark.parametrize("recipe", ["ponderv2_lidar_synthetic", "uvtr_camera_synthetic"])
def test_the_file_of_a_run_loads_without_its_recipe_and_tells_its_cost(recipe, repository, tmp_path, monkeypatch):
    config = load_config(repository / "configs" / "tiny" / f"{recipe}.py")
    encoder = MODELS.build(config.model.encoder)
    runner = _runner(config, encoder, tmp_path)
    cost = CostHook()
    monkeypatch.setattr(cost, "record", lambda runner: {"gpu_hours": 1.5, "device": "A100"})
    runner._hooks.append(cost)
    hook = EncoderExportHook()
    hook.before_train(runner)
    hook.after_train(runner)
    loaded = load_encoder(tmp_path / "encoder.safetensors")
    assert loaded.report.header.name == recipe
    assert loaded.report.header.cost == {"gpu_hours": 1.5, "device": "A100"}
    assert f"type='ponderv2.encoders.{type(encoder).__name__}'" in loaded.report.header.recipe.replace('"', "'")
    assert all(torch.equal(v, encoder.state_dict()[k]) for k, v in loaded.encoder.state_dict().items())


def test_averaged_weights_are_exported_where_a_hook_averages(repository, tmp_path):
    config = load_config(repository / "configs" / "tiny" / "ponderv2_camera_synthetic.py")
    trained, average = (MODELS.build(config.model.encoder) for _ in range(2))
    runner = _runner(config, trained, tmp_path)
    hook = EMAHook()
    hook.ema_model = SimpleNamespace(module=SimpleNamespace(encoder=average))
    runner._hooks = [hook]
    EncoderExportHook().after_train(runner)
    loaded = load_encoder(tmp_path / "encoder.safetensors").encoder.state_dict()
    assert all(torch.equal(v, average.state_dict()[k]) for k, v in loaded.items())
    assert not all(torch.equal(v, trained.state_dict()[k]) for k, v in loaded.items())


def test_a_recipe_that_cannot_be_exported_is_refused_before_training(repository, tmp_path):
    config = load_config(repository / "configs" / "tiny" / "ponderv2_camera_keyframe.py")
    config.model.encoder.img_neck.type = Foreign
    with pytest.raises(ValueError, match=r"EncoderExportHook: model\.encoder\.img_neck\.type: .*Foreign.*expected FPN"):
        EncoderExportHook().before_train(_runner(config, None, tmp_path))
