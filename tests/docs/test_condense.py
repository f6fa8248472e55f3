"""The commands of docs/condense.md are understood, recipes and files that they name are there or made above."""

import argparse
import shlex
from pathlib import Path

import pytest

from ponderv2.engine import load_config
from tests.docs.test_readme import blocks
from tests.factories.tool_scripts import load_tool

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docs" / "condense.md").read_text()
COMMANDS = [line for block in blocks(TEXT, "bash") for line in block.splitlines()]


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line[:60])
def test_a_command_is_understood_and_its_recipes_are_there(line, tmp_path, monkeypatch):
    words = [word for word in shlex.split(line) if not word.startswith("OMP_NUM_THREADS")]
    assert words[0] == ".venv/bin/python"
    (tmp_path / "data" / "streets-v1").mkdir(parents=True)
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser(allow_abbrev=False)
    load_tool(REPOSITORY, Path(words[1]).stem).add_arguments(parser)
    given = parser.parse_args(words[2:])
    for _, path in getattr(given, "pretrain_config", ()):
        assert path.is_file()


def test_the_teacher_of_the_first_command_is_that_of_the_tiny_recipes():
    made = next(line for line in COMMANDS if "train_street_teacher" in line).split("--out ")[1].split()[0]
    for mode in ("distil", "consensus"):
        config = load_config(REPOSITORY / "configs" / "tiny" / f"ponderv2_lidar_unet_{mode}_synthetic.py")
        assert config.model.image_branch.teacher.path == made
