"""What the command of the transfer study prints and writes, with factory trainings."""

import argparse
import json

import pytest

from ponderv2.command_line import run_tool
from studies.baseline_report import read_baselines
from studies.runs import StudyError
from studies.study_arguments import add_study_arguments
from studies.study_run import Run
from studies.transfer_command import run_study, study_of

FAILS = "lidar_0.1_pretrained_seed1"


@pytest.fixture(autouse=True)
def _fake_data(monkeypatch):
    """The recipes and info files of these tests are fake: nothing can be checked, and nothing fitted to them."""
    monkeypatch.setattr("studies.transfer_command.check_study", lambda study: None)
    constants = {"mAP": 0.05, "NDS": 0.3}
    monkeypatch.setattr(
        "studies.transfer_command.constant_scores",
        lambda study: {Run("lidar", 0.1, "constant", seed): constants for seed in (0, 1)},
    )


@pytest.fixture
def main(make_study, training, tmp_path, repository):
    """Runs the tool with factory trainings of LiDAR; returns its exit code and what is in the JSON file."""
    make_study()

    def run(*more: object) -> tuple[int, dict]:
        line = ["--data-root", tmp_path, "--out", tmp_path / "out", "--fractions", 0.1, "--seeds", 0, 1]
        line += ["--config", f"lidar={tmp_path / 'detector.py'}"]
        line += ["--pretrain-config", f"lidar={tmp_path / 'pretraining.py'}", *more]
        code = run_tool(
            "", add_study_arguments, lambda given: run_study(given, repository, training), list(map(str, line))
        )
        written = tmp_path / "out" / "study.json"
        return code, json.loads(written.read_text()) if written.is_file() else {}

    return run


def _scores(said: str) -> list[str]:
    """The scores of the first row of a table: constant, frozen, scratch, pre-trained."""
    lines = [line.split("|") for line in said.splitlines() if line.startswith("|")]
    return [cells[6].strip() for cells in lines[2:6]]


def test_the_command_prints_a_table_and_writes_json_and_picture(main, tmp_path, capsys):
    code, content = main()
    assert code == 0
    said = capsys.readouterr().out
    assert _scores(said) == ["5.00 ± 0.00", "5.50 ± 0.71", "20.50 ± 0.71", "40.50 ± 0.71"]
    assert "nested deviation = sqrt" in said
    assert "n: pairs of trainings (2 seeds)" in said
    assert (content["seeds"], content["frozen"]) == ([0, 1], [])
    assert "n: pairs of trainings (2 seeds)" in content["sample"]
    assert content["nested_formula"].startswith("nested deviation")
    assert [(row["metric"], row["scratch"]["values"]) for row in content["rows"]] == [
        ("mAP", pytest.approx([0.2, 0.21])),
        ("NDS", pytest.approx([0.1, 0.105])),
    ]
    assert [row["constant"]["mean"] for row in content["rows"]] == [0.05, 0.3]
    assert content["rows"][0]["frozen"]["values"] == pytest.approx([0.05, 0.06])
    assert set(content["pretrainings"]["pretraining"]) == {*("recipe", "steps", "minutes", "sha256", "made_with")}
    assert (tmp_path / "out" / "study.png").is_file()


def test_crossed_seeds_and_starts_with_changes_come_from_the_command_line(main, training, tmp_path, capsys):
    words = ["--pretrain-seeds", 0, 1, "--starts", "pretrained", "long", "slow=long", "--references"]
    words += ["--cfg-options", "model.a=1", "lidar:model.b=2", "slow:model.c=3", "--cells", "slow=lidar:0.1"]
    code, content = main(*words, "--pretrain-options", "long:train_cfg.max_iters=70")
    assert code == 0
    names = ["pretraining_seed0", "pretraining_long_seed0", "pretraining_seed1", "pretraining_long_seed1"]
    assert training.names[:4] == names
    assert ["train_cfg.max_iters=70" in command for command in training.commands[:4]] == [False, True] * 2
    by_name = dict(zip(training.names, training.commands, strict=True))
    slow = by_name["lidar_0.1_slow_seed1_pretrain1"]
    assert {"model.a=1", "model.b=2", "model.c=3"} <= set(slow)
    assert any(word.endswith("pretraining_long_seed1/encoder.safetensors") for word in slow)
    assert "model.c=3" not in by_name["lidar_0.1_long_seed1_pretrain1"]
    assert content["trainings"][1] == {"seed": 0, "pretrain_seed": 1, "training_seed": 1000}
    row = content["rows"][0]
    assert [len(row[side]["values"]) for side in ("scratch", "pretrained", "long", "slow")] == [4] * 4
    assert "frozen" not in row
    assert row["slow"]["beyond_two_nested"] is True
    assert [row[start]["changes"] for start in ("pretrained", "long", "slow")] == [[], [], ["model.c=3"]]
    assert "slow alone has model.c=3." in capsys.readouterr().out


def test_the_command_tells_failures_by_its_exit_code(main, training, capsys):
    training.fails = {FAILS}
    code, content = main()
    assert (code, content["failed"]) == (1, [f"runs/{FAILS}"])
    said = capsys.readouterr()
    assert "out of luck" in said.out
    assert f"failed: runs/{FAILS}" in said.err
    assert main("--cfg-options", "model.lr=3")[0] == 2
    assert "made with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--config", "LiDAR=x.py"), "expected MODEL=PATH with a name of small letters and digits"),
        (("--pretrained", "lidar:frozen=x"), "none of scratch, protocol"),
        (("--pretrained", "lidar=x"), "--pretrained and --pretrain-config both name lidar"),
        (("--pretrained", "camera:merged=x"), "--pretrained camera:merged=x: the study does not compare camera"),
        (("--starts", "lidar"), "--starts: lidar is a model of the study"),
        (("--cfg-options", "other:model.a=1"), "expected one of lidar, pretrained before the colon, got 'other'"),
        (("--encoder-rate", "other=0.1"), "--encoder-rate other: expected one of lidar, pretrained"),
        (("--encoder-rate", "slow=2"), "expected a share above 0 and at most 1, got 2"),
        (("--fractions", "camera:0.1"), "--fractions: expected shares of lidar as well"),
        (("--cells", "pretrained=lidar"), "expected NAME=MODEL:FRACTION, got 'pretrained=lidar'"),
    ],
)
def test_wrong_words_are_one_error_and_start_nothing(main, training, capsys, words, said):
    assert main(*words)[0] == 2
    assert said in capsys.readouterr().err
    assert training.commands == []


def test_every_earlier_validation_has_a_table(main, training, capsys):
    training.scores = (0.0, 0.1)
    code, content = main()
    assert code == 0
    first, second = capsys.readouterr().out.split("At the end:")
    assert "After 2 steps:" in first
    assert _scores(first)[2:] == ["20.50 ± 0.71", "40.50 ± 0.71"]
    assert _scores(second)[1:] == ["15.50 ± 0.71", "30.50 ± 0.71", "50.50 ± 0.71"]
    assert list(content["earlier"]) == ["2"]
    assert content["earlier"]["2"][0]["scratch"]["values"] == pytest.approx([0.2, 0.21])


def test_blind_baselines_are_rows_beside_the_study_of_the_same_data(main, tmp_path, capsys):
    path = tmp_path / "baselines.json"
    trained = {"fraction": 1.0, "mAP": 0.3, "NDS": 0.4, "n": 1, "seeds": [0], "recipe": "center.py"}
    data = {"benchmark": None, "tables": {}}
    path.write_text(json.dumps({"data": data, "all_labels": {"camera": trained}}))
    _, content = main("--baselines", path)
    assert content["baselines"] == [{"baseline": "everything trained", "sensor": "camera", **trained}]
    assert "everything trained" in capsys.readouterr().out
    path.write_text(json.dumps({"data": {"benchmark": "streets-v1"}}))
    assert main("--baselines", path)[0] == 2
    assert f"--baselines {path} holds baselines of other data" in capsys.readouterr().err


def test_baselines_of_the_same_benchmark_with_other_bytes_are_told_as_such(tmp_path):
    path, ours = tmp_path / "baselines.json", {"benchmark": "streets-v1", "sha256": "a"}
    path.write_text(json.dumps({"data": ours | {"sha256": "b"}}))
    with pytest.raises(StudyError, match="holds baselines of streets-v1 made on another kind of CPU or by another"):
        read_baselines(path, ours, "--baselines")


@pytest.mark.parametrize(
    "part", [{"all_labels": {"camera": {"fraction": 1.0}}}, {"constant": "x"}, {"points_alone": {}}]
)
def test_damaged_baselines_are_told_before_anything_is_trained(main, training, tmp_path, capsys, part):
    path = tmp_path / "baselines.json"
    path.write_text(json.dumps({"data": {"benchmark": None, "tables": {}}} | part))
    assert main("--baselines", path)[0] == 2
    assert f"--baselines {path}: expected what tools/blind_baselines.py writes" in capsys.readouterr().err
    assert training.names == []


@pytest.mark.parametrize(
    ("starts", "encoders"),
    [
        ([], ["ponderv2_fusion_synthetic_seed0", "fusion:merged_seed0"]),
        (["--starts", "merged"], ["fusion:merged_seed0"]),
    ],
)
def test_merged_encoders_stand_beside_joint_pre_training_unless_they_are_the_only_start(
    tmp_path, repository, starts, encoders
):
    """docs/running.md says so of its study of fusion."""
    parser = argparse.ArgumentParser()
    add_study_arguments(parser)
    line = ["--data-root", str(tmp_path), "--out", str(tmp_path / "out"), "--models", "fusion", *starts]
    line += ["--pretrained", "fusion:merged=merged_seed{seed}.pth", "--seeds", "0", "--pretrain-seeds", "0"]
    study = study_of(parser.parse_args(line), repository)
    assert study.encoder_names() == encoders


def test_a_plan_lists_all_trainings_and_runs_none(main, training, capsys):
    assert main("--plan")[0] == 0
    said = capsys.readouterr().out
    assert training.names == []
    planned = [line.split(" | ")[0].strip("| ") for line in said.splitlines() if "to do |" in line]
    assert f"{len(planned)} trainings, 0 finished; " in said
    assert main()[0] == 0
    assert sorted(training.names) == sorted(name.rpartition("/")[2] for name in planned)
    capsys.readouterr()
    main("--plan")
    assert f"{len(planned)} trainings, {len(planned)} finished; 0 steps to do" in capsys.readouterr().out
