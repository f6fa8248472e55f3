"""Command lines and recipes."""

import sys
from pathlib import Path

import pytest

from ponderv2.engine import load_config, parse_arguments

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
