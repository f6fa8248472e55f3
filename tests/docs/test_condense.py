"""Commands of the pages on features of images are understood; what they name is there, or made by those above."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from ponderv2.engine import load_config, parse_options
from tests.docs.test_readme import blocks
from tests.factories.tool_scripts import load_tool

REPOSITORY = Path(__file__).parents[2]
PAGES = ("condense", "keypoints", "retrieval")
"""In this order: each goes on from what those before have made."""
TEXTS = {page: (REPOSITORY / "docs" / f"{page}.md").read_text() for page in PAGES}
LINES = [line for text in TEXTS.values() for block in blocks(text, "bash") for line in block.splitlines()]
DOWNLOADS = [line for line in LINES if line.startswith(".venv/bin/hf download ")]
COMMANDS = [line for line in LINES if line not in DOWNLOADS]
BEGIN = ("data/streets-v1",)
MADE_BY = ("--out", "--work-dir", "--local-dir", "--json", "--vocabulary", "--evaluate")


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line[:60])
def test_a_command_is_understood_and_what_it_reads_is_there(line, tmp_path, monkeypatch):
    words = [word for word in shlex.split(line) if not word.startswith("OMP_NUM_THREADS")]
    if words[0] == ".venv/bin/torchrun":
        words[:3] = [".venv/bin/python"]
    assert words[0] == ".venv/bin/python"
    made = _leave_what_was_made_before(line, tmp_path)
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    own = {words[k + 1] for k, word in enumerate(words[:-1]) if word in MADE_BY}
    options = [word.partition("=")[2] for word in words if "=" in word and not word.startswith("-")]
    read = [word for word in [*words, *options] if word.startswith(("data/", "work_dirs/")) and word not in own]
    assert [name for name in read if not any(name == there or name.startswith(f"{there}/") for there in made)] == []
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser(allow_abbrev=False)
    load_tool(REPOSITORY, Path(words[1]).stem).add_arguments(parser)
    given = parser.parse_args(words[2:])
    for _, path in getattr(given, "pretrain_config", ()):
        assert path.is_file()
    if isinstance(getattr(given, "config", None), Path):
        load_config(given.config, options=parse_options(given.cfg_options))


def _leave_what_was_made_before(line: str, folder: Path) -> set[str]:
    """Leave empty folders and files under the names of what the lines above make, and return these."""
    made = set(BEGIN)
    for words in map(shlex.split, LINES[: LINES.index(line)]):
        made |= {words[k + 1] for k, word in enumerate(words[:-1]) if word in MADE_BY}
        # Segmentors start from `work_dirs/<recipe>` where no work dir is given.
        if "tools/train.py" in words and "--work-dir" not in words:
            made.add(f"work_dirs/{Path(words[words.index('tools/train.py') + 1]).stem}")
    for name in made:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if path.suffix else path.mkdir(exist_ok=True)
    return made


def test_the_teacher_that_is_downloaded_is_that_of_the_recipes_and_of_the_command():
    (download,) = (line for line in DOWNLOADS if "dinov2" in line)
    command = next(line for line in COMMANDS if "teacher.name=" in line)
    assert command.endswith(f"teacher.name={download.rpartition(' ')[2]}")
    for mode in ("distil", "consensus"):
        recipe = REPOSITORY / "configs" / "pretrain" / f"ponderv2_lidar_minkunet_{mode}_vs0p1_4xb4_24e_nuscenes.py"
        assert load_config(recipe).model.image_branch.teacher.name == shlex.split(download)[2]


def test_the_teacher_of_streets_v1_is_that_of_the_tiny_recipes():
    _, made = (line.split("--out ")[1].split()[0] for line in COMMANDS if "train_street_teacher" in line)
    for mode in ("distil", "consensus", "keypoints"):
        config = load_config(REPOSITORY / "configs" / "tiny" / f"ponderv2_lidar_unet_{mode}_synthetic.py")
        assert config.model.image_branch.teacher.path == made


@pytest.mark.parametrize("page", PAGES)
def test_a_page_begins_with_commands_to_copy_and_has_no_line_of_text_that_is_too_long(page):
    prose = re.sub(r"```.*?```", "", TEXTS[page], flags=re.DOTALL).splitlines()
    assert [line for line in prose if len(line) > 160 and not line.startswith("|")] == []
    assert not re.findall("@[A-Z_]+@", TEXTS[page])
    assert next(line for line in TEXTS[page].splitlines() if line.startswith("## ")) == "## Try it"
    assert TEXTS[page].index("```bash") < TEXTS[page].index("\n## ", TEXTS[page].index("## Try it") + 1)


def test_losses_that_are_named_are_those_of_the_code():
    package = REPOSITORY / "projects/PonderV2/ponderv2"
    files = ("rendering/objective.py", "teachers/image_branches.py", "heads/keypoints/keypoint_branch.py")
    found = {name for file in files for name in re.findall(r'"(loss_\w+)"', (package / file).read_text())}
    named = set(re.findall(r"`(loss_\w+)`", TEXTS["condense"]))
    own = {name for name in found if re.search("feature|consensus|views|anchor|keypoint", name)}
    assert len(own) == 7
    assert own <= named <= found
