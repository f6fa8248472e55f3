"""The recipe that a tool is given has to be there; one that is not, is told with those that are meant."""

import argparse
from pathlib import Path

import pytest

from ponderv2.command_line import add_recipe_arguments
from ponderv2.command_line.shared_arguments import MOST_NAMED, recipe_file


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("tiny/center_bevdet", "detection/bevdet_half", "detection/uvtr_half", "_base_/bevdet_parts"):
        path = tmp_path / "configs" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "configs"


def test_a_name_alone_lists_the_recipes_that_hold_it(configs, capsys):
    parser = argparse.ArgumentParser()
    add_recipe_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["bevdet"])
    shown = "recipe bevdet does not exist; by that name there are configs/detection/bevdet_half.py, "
    assert f"{shown}configs/tiny/center_bevdet.py\n" in capsys.readouterr().err


def test_a_name_of_many_recipes_lists_the_first_of_them(configs):
    for number in range(MOST_NAMED):
        (configs / "tiny" / f"uvtr_{number}.py").touch()
    with pytest.raises(argparse.ArgumentTypeError, match=r"uvtr_half\.py, .*uvtr_4\.py and 1 more$"):
        recipe_file("uvtr")


@pytest.mark.parametrize("text", ["nuscenes", "elsewhere/bevdet.py"])
def test_other_names_list_none(configs, text):
    with pytest.raises(argparse.ArgumentTypeError, match=rf"recipe {text} does not exist"):
        recipe_file(text)


def test_a_path_that_is_there_is_taken(configs):
    assert recipe_file("configs/tiny/center_bevdet.py") == Path("configs/tiny/center_bevdet.py")
