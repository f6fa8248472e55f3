"""What the command of the transfer study prints and writes, with factory trainings."""

import json
from pathlib import Path

import pytest

from ponderv2.command_line import run_tool
from studies.study_arguments import add_study_arguments
from studies.study_run import Run
from studies.transfer_command import run_study

FAILS = "lidar_0.1_pretrained_seed1"
ROW = ["lidar", "10%", "mAP", "5.00 ± 0.00", "5.50 ± 0.71", "20.50 ± 0.71", "40.50 ± 0.71", "+20.00", "2"]
"""The first row of a finished study: what it compares stands between the references and the gain."""


def _first_row(said: str) -> list[str]:
    row = next(line for line in said.splitlines() if "mAP" in line and line.startswith("|"))
    return [cell.strip() for cell in row.split("|")][1:10]


@pytest.fixture(autouse=True)
def _fake_data(monkeypatch):
    """The recipes and info files of these tests are fake: nothing can be checked, and nothing fitted to them."""
    monkeypatch.setattr("studies.transfer_command.check_study", lambda study: None)
    constants = {"mAP": 0.05, "NDS": 0.3}
    monkeypatch.setattr(
        "studies.transfer_command.constant_scores",
        lambda study: {Run("lidar", 0.1, "constant", seed): constants for seed in (0, 1)},
    )


def main(repository: Path, line: list[str], training) -> int:
    """Run the tool with factory trainings; returns its exit code."""
    return run_tool("", add_study_arguments, lambda given: run_study(given, repository, training), line)


def _line(tmp_path: Path, *more: str) -> list[str]:
    return [
        *("--data-root", str(tmp_path), "--out", str(tmp_path / "out"), "--modalities", "lidar", "--fractions", "0.1"),
        *("--seeds", "0", "1", "--config", f"lidar={tmp_path / 'detector.py'}"),
        *("--pretrain-config", f"lidar={tmp_path / 'pretraining.py'}", *more),
    ]


def test_the_command_prints_a_table_and_writes_json_and_picture(make_study, training, tmp_path, repository, capsys):
    assert main(repository, _line(tmp_path), training) == 0
    said = capsys.readouterr().out
    assert _first_row(said) == ROW
    assert "beyond two standard deviations: gain > 2 * sqrt" in said
    content = json.loads((tmp_path / "out" / "study.json").read_text())
    assert content["seeds"] == [0, 1]
    assert [(row["metric"], row["scratch"]["values"]) for row in content["rows"]] == [
        ("mAP", pytest.approx([0.2, 0.21])),
        ("NDS", pytest.approx([0.1, 0.105])),
    ]
    assert [row["constant"]["mean"] for row in content["rows"]] == [0.05, 0.3]
    assert content["rows"][0]["frozen"]["values"] == pytest.approx([0.05, 0.06])
    assert content["sample_size"] == {"trainings": 6, "pairs": 2, "independent_pairs": 2, "pretrainings": 1}
    assert "2 in all (1 modalities × 1 fractions × 2 seeds)" in said
    assert (tmp_path / "out" / "study.png").is_file()


def test_the_command_tells_failures_by_its_exit_code(make_study, training, tmp_path, repository, capsys):
    training.fails = {FAILS}
    assert main(repository, _line(tmp_path), training) == 1
    said = capsys.readouterr()
    assert "out of luck" in said.out
    assert f"failed: runs/{FAILS}" in said.err
    assert json.loads((tmp_path / "out" / "study.json").read_text())["failed"] == [f"runs/{FAILS}"]
    assert main(repository, _line(tmp_path, "--cfg-options", "model.lr=3"), training) == 2
    assert "made with other settings" in capsys.readouterr().err


def test_a_wrong_pair_on_the_command_line_is_refused(capsys):
    assert run_tool("", add_study_arguments, lambda given: 0, ["--config", "radar=x.py"]) == 2
    assert "expected MODALITY=PATH with one of camera, lidar, fusion, got 'radar=x.py'" in capsys.readouterr().err


def test_every_earlier_validation_has_a_table(make_study, training, tmp_path, repository, capsys):
    training.scores = (0.0, 0.1)
    assert main(repository, _line(tmp_path), training) == 0
    said = capsys.readouterr().out
    first, second = said.split("At the end:")
    assert "After 2 steps:" in first
    assert _first_row(first) == ROW
    assert _first_row(second)[3:8] == ["5.00 ± 0.00", "15.50 ± 0.71", "30.50 ± 0.71", "50.50 ± 0.71", "+20.00"]
    content = json.loads((tmp_path / "out" / "study.json").read_text())
    assert list(content["earlier"]) == ["2"]
    assert content["earlier"]["2"][0]["scratch"]["values"] == pytest.approx([0.2, 0.21])
