"""Command lines and recipes."""

import argparse
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from ponderv2.engine import load_config, parse_options, train, training_config
from ponderv2.engine.held_log import BuildingRunner
from ponderv2.engine.launch import _checkpoint_to_resume, _place, _tell_of_earlier_run
from ponderv2.errors import UserError
from tests.factories.tool_scripts import load_tool

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


def arguments(repository: Path, tool: str, *line: object) -> argparse.Namespace:
    """The arguments of a tool, read as it reads them."""
    parser = argparse.ArgumentParser()
    load_tool(repository, tool).add_arguments(parser)
    return parser.parse_args([str(part) for part in line])


def test_arguments_of_training(repository, tmp_path):
    line = [TINY, "--data-root", tmp_path, "--work-dir", "w", "--resume", "--cfg-options", "a.b=1", "c=x", "d=(2,None)"]
    args = arguments(repository, "train", *line)
    assert (args.resume, args.launcher, args.amp) == ("auto", "none", False)
    assert parse_options(args.cfg_options) == {"a.b": 1, "c": "x", "d": (2, None)}
    assert (args.data_root, args.work_dir) == (tmp_path, Path("w"))


@pytest.mark.parametrize(
    ("flags", "folder"), [([], "uvtr_camera_synthetic"), (["--scratch"], "uvtr_camera_synthetic_scratch")]
)
def test_a_baseline_has_a_work_dir_of_its_own_and_starts_from_nothing(repository, flags, folder):
    args = arguments(repository, "train", TINY.with_name("uvtr_camera_synthetic.py"), *flags)
    config = training_config(args)
    assert config.work_dir == f"work_dirs/{folder}"
    assert (config.model.init_cfg is None) == bool(flags)


def test_a_key_of_the_top_level_that_the_recipe_lacks_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"has no 'train_cgf'; did you mean train_cfg\?"):
        load_config(TINY, options={"train_cgf.max_iters": 1})
    with pytest.raises(UserError, match=r"has no 'zzz'; it has .*model.*train_dataloader"):
        load_config(TINY, options={"zzz": 1})
    # What a runner reads may be set although the recipe leaves it out.
    assert load_config(TINY, options={"load_from": "x.pth"}).load_from == "x.pth"


@pytest.mark.parametrize(
    "option",
    [
        "custom_hooks=[dict(type=RecomputeHook,modules=[head.renderer])]",
        "custom_hooks=[{type:RecomputeHook,modules:[head.renderer]}]",
        "model.head=dict(a=1,b=2)",
    ],
)
def test_a_dict_among_the_options_is_one_line_that_says_where_hooks_go(option):
    with pytest.raises(
        UserError, match=r"^--cfg-options .* go into a recipe of your own \(docs/memory_and_speed.md\)$"
    ):
        parse_options([option])


def test_calls_and_braces_inside_of_words_are_no_dicts():
    assert parse_options(["a=photo of {}"]) == {"a": "photoof{}"}
    with pytest.raises(UserError, match=r"^--cfg-options a=f\(1,2\): the value cannot be read"):
        parse_options(["a=f(1,2)"])


def test_options_come_after_the_changes_of_the_baseline():
    recipe = TINY.parents[1] / "detection" / "uvtr_fusion_convnext_s_vs0p075_4xb2_20e_nuscenes.py"
    config = load_config(recipe, options={"model.init_cfg.checkpoint": "mine.pth"}, scratch=True)
    assert config.model.init_cfg.checkpoint == "mine.pth"


def test_a_recipe_that_cannot_be_built_is_not_dumped_before_the_error_says_why(repository, tmp_path, capsys):
    args = arguments(repository, "train", TINY, "--work-dir", tmp_path, "--cfg-options", "model.haed=1")
    with pytest.raises(UserError, match=r"cannot be built: .*haed"):
        train(args)
    assert capsys.readouterr().out == ""
    (log,) = tmp_path.glob("*/*.log")
    assert "Config:\n" in log.read_text()


def test_what_was_held_back_is_told_once_and_the_rest_at_once(tmp_path, capsys):
    runner = BuildingRunner(torch.nn.Identity(), str(tmp_path))
    runner.logger.info("all is there")
    runner.logger.warning("odd")
    shown = capsys.readouterr().out
    assert "odd" in shown
    assert "all is there" not in shown
    runner.tell()
    runner.logger.info("trained")
    runner.tell()
    shown = capsys.readouterr().out
    assert [shown.count(text) for text in ("System environment", "all is there", "odd", "trained")] == [1, 1, 0, 1]


def test_an_earlier_run_in_the_work_dir_is_told_of(repository, tmp_path, capsys):
    (tmp_path / "last_checkpoint").write_text("iter_7.pth")
    args = arguments(repository, "train", TINY, "--work-dir", tmp_path)
    _tell_of_earlier_run(training_config(args))
    assert f"{tmp_path} has a run already (iter_7.pth), whose checkpoints are replaced" in capsys.readouterr().out
    torch.save({}, tmp_path / "iter_7.pth")
    args = arguments(repository, "train", TINY, "--work-dir", tmp_path, "--resume")
    _tell_of_earlier_run(training_config(args))
    assert capsys.readouterr().out == ""


def test_a_training_whose_last_checkpoint_is_gone_says_where_it_goes_on(tmp_path, capsys):
    torch.save({}, tmp_path / "iter_1.pth")
    (tmp_path / "last_checkpoint").write_text("iter_2.pth")
    assert _checkpoint_to_resume("auto", tmp_path) == tmp_path / "iter_1.pth"
    said = capsys.readouterr().out
    where = f"warning: {tmp_path}/last_checkpoint names iter_2.pth, which"
    assert said == f"{where} does not exist: goes on from iter_1.pth\n"
    (tmp_path / "iter_2.pth").write_bytes((tmp_path / "iter_1.pth").read_bytes()[:-9])
    assert _checkpoint_to_resume("auto", tmp_path) == tmp_path / "iter_1.pth"
    assert capsys.readouterr().out == f"{where} is torn: goes on from iter_1.pth\n"
    (tmp_path / "iter_2.pth").unlink()
    (tmp_path / "iter_1.pth").unlink()
    with pytest.raises(UserError, match=r"has no whole checkpoint to go on from; leave out --resume to start anew"):
        _checkpoint_to_resume("auto", tmp_path)


def test_a_submission_goes_into_the_work_dir(tmp_path):
    metric = {"type": "LidarSegMetric", "submission_dir": "{work_dir}/submission"}
    for evaluator in (metric, [metric]):
        config = Config({"test_evaluator": evaluator, "test_dataloader": {}, "work_dir": str(tmp_path)})
        _place(config, argparse.Namespace(launcher="none", work_dir=None), "recipe")
        (placed,) = config.test_evaluator if isinstance(evaluator, list) else [config.test_evaluator]
        assert placed.submission_dir == f"{tmp_path}/submission"
