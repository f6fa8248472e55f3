"""Command lines and recipes."""

import sys
from pathlib import Path

import pytest

from ponderv2.engine import build_runner, load_config, parse_arguments

TINY = Path(__file__).parents[2] / "configs" / "tiny" / "ponderv2_camera_keyframe.py"


def test_data_root_reaches_every_data_set_and_metric(tmp_path):
    config = load_config(TINY, tmp_path)
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        assert config[name]["dataset"]["data_root"] == str(tmp_path)


def test_options_change_the_recipe():
    assert load_config(TINY, options={"model.head.hidden_channels": 3}).model.head.hidden_channels == 3


def test_missing_recipe_and_data_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.py"):
        load_config(tmp_path / "nothing.py")
    with pytest.raises(FileNotFoundError, match="no_data"):
        load_config(TINY, tmp_path / "no_data")


def test_arguments_of_training(monkeypatch):
    line = [
        "train.py",
        str(TINY),
        "--data-root",
        "d",
        "--work-dir",
        "w",
        "--resume",
        "--cfg-options",
        "a.b=1",
        "c=x",
    ]
    monkeypatch.setattr(sys, "argv", line)
    args = parse_arguments("", train=True)
    assert (args.resume, args.launcher, args.amp) == ("auto", "none", False)
    assert args.cfg_options == {"a.b": 1, "c": "x"}
    assert (args.data_root, args.work_dir) == (Path("d"), Path("w"))


@pytest.mark.parametrize(
    ("flags", "folder"), [([], "uvtr_camera_synthetic"), (["--scratch"], "uvtr_camera_synthetic_scratch")]
)
def test_a_baseline_has_a_work_dir_of_its_own_and_starts_from_nothing(monkeypatch, flags, folder):
    monkeypatch.setattr(sys, "argv", ["train.py", str(TINY.with_name("uvtr_camera_synthetic.py")), *flags])
    seen = []
    # Nothing is to be built here: the recipe as it gets to the runner is enough.
    monkeypatch.setattr("ponderv2.engine.launch.Runner.from_cfg", lambda config: seen.append(config) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_runner(parse_arguments("", train=True), train=True)
    (config,) = seen
    assert config.work_dir == f"work_dirs/{folder}"
    assert (config.model.init_cfg is None) == bool(flags)


def test_options_come_after_the_changes_of_the_baseline():
    recipe = TINY.parents[1] / "detection" / "uvtr_fusion_convnext_s_vs0p075_4xb2_20e_nuscenes.py"
    config = load_config(recipe, options={"model.init_cfg.checkpoint": "mine.pth"}, scratch=True)
    assert config.model.init_cfg.checkpoint == "mine.pth"
