"""A resolved recipe has what training and testing read, and nothing that only helped to write it."""

import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from ponderv2.engine import load_config, resolved_recipe

RECIPE = Path("configs/detection/uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes.py")


@pytest.fixture
def config(repository: Path) -> Config:
    return load_config(repository / RECIPE)


def test_named_parts_are_left_out_and_settings_kept(config):
    resolved = resolved_recipe(config)
    assert {"load_sweeps", "lidar_voxelnet_finetuned", "rising", "max_epochs"} <= set(config.keys())
    assert not {"load_sweeps", "lidar_voxelnet_finetuned", "rising", "max_epochs"} & set(resolved.keys())
    for name in ("model", "train_dataloader", "param_scheduler", "optim_wrapper", "custom_hooks", "auto_scale_lr"):
        assert resolved[name] == config[name]
    assert resolved_recipe(resolved).pretty_text == resolved.pretty_text


def test_the_recipe_itself_is_not_changed(config):
    before = config.pretty_text
    resolved_recipe(config).model.head.num_classes = 3
    assert config.pretty_text == before


def test_the_tool_prints_a_recipe_that_can_be_read_again(repository, tmp_path):
    command = [sys.executable, "tools/print_config.py", str(RECIPE), "--scratch"]
    changes = ["--cfg-options", "optim_wrapper.optimizer.lr=0.003"]
    done = subprocess.run([*command, *changes], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (tmp_path / "printed.py").write_text(done.stdout)
    printed = Config.fromfile(str(tmp_path / "printed.py"))
    assert printed.optim_wrapper.optimizer.lr == 0.003
    assert printed.model.init_cfg is None
    assert printed.train_cfg.max_epochs == 20


def test_the_tool_names_what_is_not_there_in_one_line(repository):
    cases = {
        "nothing.py": ["configs/nothing.py"],
        "names no baseline": ["configs/tiny/ponderv2_camera_synthetic.py", "--scratch"],
    }
    for message, arguments in cases.items():
        command = [sys.executable, "tools/print_config.py", *arguments]
        done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
        assert done.returncode == 2
        (line,) = done.stderr.strip().splitlines()[-1:]
        assert message in line
        assert "Traceback" not in done.stderr
