"""A recipe that lacks the settings of converted weights is told so, in one line."""

from argparse import Namespace
from pathlib import Path
from unittest.mock import create_autospec

import pytest
import torch
from mmengine.config import Config

from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.engine import converted_options, launch, load_config
from ponderv2.engine.converted_options import (
    ENCODER,
    lacking_options,
    merged_options,
    read_options,
    tell_of_options,
)
from ponderv2.engine.held_log import BuildingRunner

PLACEMENT = "model.encoder.grid.placement=published"
SAMPLER = "model.head.sampler.placement=published"
EPS = "model.head.opacity.eps=1e-05"
RECIPES = Path(__file__).parents[2] / "configs"


@pytest.fixture
def converted(tmp_path) -> Path:
    path = tmp_path / "converted.pth"
    torch.save({"meta": {"options": [PLACEMENT, SAMPLER, EPS, "model.init_cfg=None"]}, "state_dict": {}}, path)
    return path


def test_settings_that_a_recipe_has_or_lacks():
    recipe = RECIPES / "pretrain" / "ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes.py"
    options = [PLACEMENT, SAMPLER, EPS]
    assert lacking_options(load_config(recipe), options) == options
    assert lacking_options(load_config(recipe), options, ENCODER) == [PLACEMENT]
    given = {"model.encoder.grid.placement": "published", "model.head.opacity.eps": 1e-5}
    assert lacking_options(load_config(recipe, options=given), options) == [SAMPLER]


def test_values_are_compared_and_not_their_spelling():
    config = Config({"model": {"head": {"size": [1, 2], "denoising": {"groups": 3}}, "parts": [{"a": 1}]}})
    same = ["model.head.size=(1,2)", "model.head.decoding=None", "model.parts.0.a=1", "model.init_cfg.new=x"]
    assert lacking_options(config, same) == []
    other = ["model.head.denoising=None", "model.parts.1.a=1"]
    assert lacking_options(config, other) == other


def test_the_line_names_the_file_and_what_to_add(converted, capsys):
    tell_of_options(converted, read_options(converted), Config({"model": {"encoder": {"grid": {}}, "head": {}}}))
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert line.startswith(f"warning: {converted} holds weights that were converted for settings")
    assert line.endswith(f"add --cfg-options {PLACEMENT} {SAMPLER} {EPS}\n")


def test_files_that_were_not_converted_have_no_settings(tmp_path, capsys):
    for content in ({}, {"meta": {}}, {"meta": {"options": "model.a=1"}}, {"meta": None}):
        torch.save(content, tmp_path / "own.pth")
        assert read_options(tmp_path / "own.pth") == []
    assert read_options(tmp_path / "encoder.safetensors") == []
    # A missing start is reported by what reads its weights, with how to make it.
    assert read_options(tmp_path / "nowhere.pth") == []


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ({"model.init_cfg": dict(checkpoint="FILE")}, [PLACEMENT]),
        ({"model.init_cfg": dict(checkpoint="FILE", head=True)}, [PLACEMENT, SAMPLER, EPS]),
        ({"model.init_cfg": None}, []),
    ],
)
def test_a_training_tells_what_its_start_needs_and_keeps_what_it_has(converted, capsys, start, told):
    config = Config(dict(model=dict(encoder=dict(grid=dict()), head=dict()), load_from=None, resume=False))
    text = {key: str(converted) if value == "FILE" else value for key, value in start.items()}
    if text.get("model.init_cfg"):
        text["model.init_cfg"] = text["model.init_cfg"] | {"checkpoint": str(converted)}
    config.merge_from_dict(text)
    assert launch._options_of_start(config) == []
    line = capsys.readouterr().out
    assert line.endswith(f"add --cfg-options {' '.join(told)}\n") if told else line == ""
    config.merge_from_dict({"model.encoder.grid.placement": "published", "model.head.opacity": dict(eps=1e-5)})
    assert launch._options_of_start(config) == [option for option in told if option != SAMPLER]


def test_the_test_tool_tells_it_before_the_evaluation_and_reads_the_file_once(converted, capsys, monkeypatch):
    runner = create_autospec(BuildingRunner, instance=True)
    runner.cfg = Config(dict(model=dict(encoder=dict(grid=dict()), head=dict()), load_from=str(converted)))
    runner.model, runner.test_loop = torch.nn.Identity(), None
    runner.test.return_value = {"NDS": 0.5}
    monkeypatch.setattr(launch, "build_tester", lambda args: runner)
    read = create_autospec(load_checkpoint_file, side_effect=load_checkpoint_file)
    for module in (launch, converted_options):
        monkeypatch.setattr(module, "load_checkpoint_file", read)
    assert launch.test(Namespace(config=Path("recipe.py"), cfg_options=[])) == {"NDS": 0.5}
    assert PLACEMENT in capsys.readouterr().out
    read.assert_called_once_with(converted)


def test_a_fusion_of_two_converted_models_keeps_their_settings():
    camera = [PLACEMENT, "model.head.volume_norm=False"]
    expected = [f"model.encoder.{part}.grid.placement=published" for part in ("camera", "lidar")]
    assert merged_options(camera, ["model.head.decoding=None"], head=True) == [*expected, "model.head.decoding=None"]
    assert merged_options(camera, ["model.head.decoding=None"], head=False) == expected
    # What a converted LiDAR encoder computes depends on no placement, so the fusion may take the camera's own.
    assert merged_options([], [], head=True) == []
