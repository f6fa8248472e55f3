"""The commands of docs/condense.md are understood, recipes and files that they name are there or made above."""

import argparse
import shlex
from pathlib import Path

import pytest

from ponderv2.engine import load_config, parse_options
from tests.docs.test_readme import blocks
from tests.factories.tool_scripts import load_tool

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docs" / "condense.md").read_text()
LINES = [line for block in blocks(TEXT, "bash") for line in block.splitlines()]
(DOWNLOAD,) = [line for line in LINES if line.startswith(".venv/bin/hf download ")]
COMMANDS = [line for line in LINES if line != DOWNLOAD]


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line[:60])
def test_a_command_is_understood_and_its_recipes_are_there(line, tmp_path, monkeypatch):
    words = [word for word in shlex.split(line) if not word.startswith("OMP_NUM_THREADS")]
    if words[0] == ".venv/bin/torchrun":
        words[:3] = [".venv/bin/python"]
    assert words[0] == ".venv/bin/python"
    _what_was_made_before(line, tmp_path)
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    for word in words:
        # Work dirs that the command reads have been made by those above it.
        if word.startswith("work_dirs/") and not Path(word).suffix:
            (tmp_path / word).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser(allow_abbrev=False)
    load_tool(REPOSITORY, Path(words[1]).stem).add_arguments(parser)
    given = parser.parse_args(words[2:])
    for _, path in getattr(given, "pretrain_config", ()):
        assert path.is_file()
    if isinstance(getattr(given, "config", None), Path):
        load_config(given.config, options=parse_options(given.cfg_options))


def _what_was_made_before(line: str, folder: Path) -> None:
    """Leave empty folders and files under the names of what the commands above make, and of what they begin with."""
    begin = ["data/streets-v1", "data/revisits-v1", "data/ckpts/clip-vit-base-patch16", "work_dirs/distil_clip"]
    above = [shlex.split(command) for command in COMMANDS[: COMMANDS.index(line)]]
    made = [words[words.index(name) + 1] for words in above for name in ("--out", "--work-dir") if name in words]
    for name in {*begin, *made}:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if path.suffix else path.mkdir(exist_ok=True)


def test_the_teacher_that_is_downloaded_is_that_of_the_recipes_and_of_the_command():
    command = next(line for line in COMMANDS if "teacher.name=" in line)
    assert command.endswith(f"teacher.name={DOWNLOAD.rpartition(' ')[2]}")
    for mode in ("distil", "consensus"):
        recipe = REPOSITORY / "configs" / "pretrain" / f"ponderv2_lidar_minkunet_{mode}_vs0p1_4xb4_24e_nuscenes.py"
        assert load_config(recipe).model.image_branch.teacher.name == shlex.split(DOWNLOAD)[2]


def test_the_teacher_of_the_first_command_is_that_of_the_tiny_recipes():
    made = next(line for line in COMMANDS if "train_street_teacher" in line).split("--out ")[1].split()[0]
    for mode in ("distil", "consensus", "keypoints"):
        config = load_config(REPOSITORY / "configs" / "tiny" / f"ponderv2_lidar_unet_{mode}_synthetic.py")
        assert config.model.image_branch.teacher.path == made
