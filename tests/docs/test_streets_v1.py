"""The card of streets-v1 says what the code does: sizes, splits, fractions, hashes, commands, baselines."""

import argparse
import hashlib
import json
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
from nuscenes.eval.detection.constants import DETECTION_NAMES
from nuscenes.utils.splits import create_splits_scenes

from ponderv2.datasets import choose_fraction
from ponderv2.engine import load_config
from synthetic_nuscenes.output.benchmarks import BENCHMARKS, LABEL_FRACTIONS, STORED_HASHES
from synthetic_nuscenes.output.dataset_hashes import PARTS
from synthetic_nuscenes.output.tables import token, version_and_names
from tests.factories.tool_scripts import load_tool

UNKNOWN = "not run"


@pytest.fixture(scope="module")
def card() -> str:
    return (Path(__file__).parents[2] / "docs" / "streets_v1.md").read_text()


def rows(card: str, header: str) -> list[list[str]]:
    """The rows of the first table whose header begins so."""
    lines = card.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith(header))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return table
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def test_it_has_the_sizes_and_the_seed_of_both_benchmarks(card):
    table = {name: values for name, *values in rows(card, "| | `streets-v1`")}
    found = zip(*(table[name] for name in list(table)[:4]), strict=True)
    both = [BENCHMARKS[name] for name in ("streets-v1", "streets-mini")]
    for (drives, keyframes, images, seed), benchmark in zip(found, both, strict=True):
        assert drives == f"{benchmark.scenes}, {benchmark.scenes // 5}"
        assert (keyframes, images) == (str(benchmark.keyframes), f"{benchmark.width}×{benchmark.height}")
        assert seed == str(benchmark.seed)


def test_its_label_fractions_are_nested_and_those_that_a_recipe_selects(card, repository):
    benchmark = BENCHMARKS["streets-v1"]
    train = set(create_splits_scenes()["train"])
    names = version_and_names(benchmark.scenes)[1]
    drives = [k for k, name in enumerate(names) if name in train]
    frames = [{"token": token(benchmark.seed, k, "sample", f)} for k in drives for f in range(benchmark.keyframes)]
    table = rows(card, "| fraction |")
    assert [float(row[0]) for row in table] == list(LABEL_FRACTIONS)
    for seed in (0, 1, 2):
        smaller: set[str] = set()
        for row in table:
            chosen = {frame["token"] for frame in choose_fraction(frames, float(row[0]), seed=seed)}
            assert smaller < chosen
            smaller = chosen
            digest = hashlib.sha256("\n".join(sorted(chosen)).encode()).hexdigest()
            assert (row[1], row[2 + seed]) == (str(len(chosen)), f"`{digest[:12]}`")
    options = re.search(r"--cfg-options (train_dataloader\S+) (train_dataloader[^`\s]+)", card)
    changes = {k: float(v) for k, v in (text.split("=") for text in options.groups())}
    config = load_config(repository / "configs/tiny/uvtr_camera_synthetic.py", options=changes)
    assert config.train_dataloader.dataset.fraction == 0.1


def test_its_hashes_are_those_of_the_package(card):
    stored = json.loads(STORED_HASHES.read_text())
    table = {name: values for name, *values in rows(card[card.index("## Hashes") :], "| | `streets-v1`")}
    assert list(table) == ["all", *PARTS]
    for part, values in table.items():
        for name, value in zip(("streets-v1", "streets-mini"), values, strict=True):
            assert value == (f"`{stored[name][part]}`" if name in stored else UNKNOWN)


def test_it_has_every_class(card):
    assert {row[0] for row in rows(card, "| class |")} == set(DETECTION_NAMES)


def test_its_numbers_of_blind_baselines_are_those_that_were_measured(card, repository):
    path = repository / "docs" / "results" / "streets_v1_baselines.json"
    table = rows(card, "| baseline |")
    numbers = [row[3:6] for row in table]
    content = json.loads(path.read_text())
    detectors = [content["constant"], content["constant"]["with_all_labels"]]
    detectors += [content[part][sensor] for part in ("random_frozen", "all_labels") for sensor in ("camera", "lidar")]
    expected = [[f"{100 * found[metric]:.1f}" for metric in ("mAP", "NDS")] + ["–"] for found in detectors]
    points = content["points_alone"]
    expected += [["–", "–", f"{100 * value:.1f}"] for value in (points["mIoU"], points["most_frequent"]["mIoU"])]
    assert numbers == expected
    for part in ("constant", "random_frozen", "all_labels"):
        assert all(0 <= content[part][metric] <= 1 for metric in ("mAP", "NDS"))


def test_its_commands_are_understood(card, repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "streets-v1").mkdir(parents=True)
    for name in ("mine", "mine_segmentation"):
        (tmp_path / "work_dirs" / name).mkdir(parents=True)
    (tmp_path / "configs").symlink_to(repository / "configs")
    commands = [line for block in re.findall(r"```bash\n(.*?)```", card, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 10
    for line in commands:
        python, tool, *words = shlex.split(line)
        assert python == ".venv/bin/python"
        if tool == "-m":
            assert find_spec(words[0]) is not None
            continue
        parser = argparse.ArgumentParser(allow_abbrev=False)
        load_tool(repository, Path(tool).stem).add_arguments(parser)
        parser.parse_args(words)
