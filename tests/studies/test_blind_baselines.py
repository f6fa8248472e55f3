"""The blind baselines from their command line to the JSON, with factory trainings on a real, small data set."""

import json
import subprocess
import sys

import pytest

from ponderv2.command_line import run_tool
from studies.arguments import add_baseline_arguments
from studies.baseline_report import add_to_baselines, merge, read_baselines, table_of
from studies.blind_baselines import BlindBaselines, run_baselines
from studies.runs import StudyError
from studies.study_run import Run
from studies.transfer_study import FROZEN

PARTS = ("random_frozen", "all_labels")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Building a first step takes seconds and is tested elsewhere; what is fitted here is known."""
    monkeypatch.setattr("studies.blind_baselines.build_first_step", lambda config, path: None)
    score = {"mAP": 0.01, "NDS": 0.1, "car_AP": 0.02, "place_spread": 4.0}
    monkeypatch.setattr(
        "studies.blind_baselines.constant_scores",
        lambda study: {
            Run(study.models[0], fraction, "constant", seed): score | {"mAP": 0.01 * (1 + seed)}
            for fraction in study.fractions
            for seed in study.seeds
        },
    )
    points = {"mIoU": 0.3, "classes": {"car": 0.2}, "most_frequent": {"class": "driveable_surface", "mIoU": 0.03}}
    points |= {"power": 0.0, "points": 7}
    monkeypatch.setattr("studies.kept_points.score_points", lambda *_: points)


@pytest.fixture
def main(repository, streets, tmp_path, training):
    """Runs the tool with factory trainings; returns the exit code and what is in the JSON file."""

    def run(*words: object) -> tuple[int, dict]:
        line = ["--data-root", streets, "--out", tmp_path / "out", "--json", tmp_path / "docs" / "b.json", *words]
        code = run_tool(
            "", add_baseline_arguments, lambda given: run_baselines(given, repository, training), list(map(str, line))
        )
        path = tmp_path / "docs" / "b.json"
        return code, json.loads(path.read_text()) if path.is_file() else {}

    return run


def test_all_parts_are_in_one_file_with_the_cameras_scores_on_top(main, training, capsys):
    code, content = main("--seeds", 0, 1)
    assert code == 0
    assert content["constant"]["mAP"] == pytest.approx(0.015)
    assert content["constant"]["values"]["mAP"] == pytest.approx([0.01, 0.02])
    assert (content["constant"]["fraction"], content["constant"]["with_all_labels"]["fraction"]) == (0.1, 1.0)
    assert content["constant"]["place_spread"] == [4.0, 4.0]
    # Two frames are labelled; of a tenth of them there is one.
    assert [found["labelled_frames"] for found in (content["constant"], content["constant"]["with_all_labels"])] == [
        1,
        2,
    ]
    for part, score in zip(PARTS, (0.055, 0.205), strict=True):
        for metric, value in (("mAP", score), ("NDS", score / 2)):
            assert content[part][metric] == content[part]["camera"][metric] == pytest.approx(value)
        for sensor in ("camera", "lidar"):
            found = content[part][sensor]
            assert found["steps"] == {"head": 1000, "then": 1000}
            assert (found["n"], found["fraction"], found["scored_frames"]) == (2, 1.0, 2)
    assert content["points_alone"]["mIoU"] == 0.3
    assert content["data"]["sha256"]["all"]
    assert {"torch", "scikit-learn", "nuscenes-devkit"} <= set(content["versions"])
    said = capsys.readouterr().out
    assert "camera: frozen random 27% of the mAP of everything trained" in said
    assert "| always driveable_surface" in said
    assert len(training.commands) == 8


def test_the_same_command_trains_nothing_again_and_another_schedule_is_refused(main, training, capsys):
    first = main("--only", *PARTS)
    trained = len(training.commands)
    assert main("--only", *PARTS) == first
    assert len(training.commands) == trained == 4
    code, _ = main("--only", *PARTS, "--head-steps", 7)
    assert code == 2
    assert "was made with other settings" in capsys.readouterr().err


def test_parts_alone_are_merged_and_points_are_scored_once(main, monkeypatch):
    main("--only", "points_alone")
    monkeypatch.setattr("studies.kept_points.score_points", None)
    code, content = main("--only", "points_alone", "constant")
    assert code == 0
    assert {"points_alone", "constant", "data"} <= set(content)
    main("--only", "all_labels", "--modalities", "lidar")
    code, content = main("--only", "all_labels", "--modalities", "camera")
    assert {"camera", "lidar", "mAP", "NDS"} == set(content["all_labels"])
    assert "points_alone" in content


def test_fewer_labels_stand_beside_the_largest_share(main):
    _, content = main("--only", "random_frozen", "--modalities", "camera", "--frozen-fractions", 0.1, 1.0)
    frozen = content["random_frozen"]
    assert (frozen["camera"]["fraction"], frozen["fewer_labels"]["0.1"]["camera"]["fraction"]) == (1.0, 0.1)
    assert frozen["camera"]["labelled_frames"] == 2
    assert frozen["fewer_labels"]["0.1"]["camera"]["labelled_frames"] == 1


def test_a_training_that_fails_is_told_and_the_others_are_kept(main, training, capsys):
    training.fails = {"camera_1_frozen_seed0"}
    code, content = main()
    assert code == 1
    assert "failed: runs/camera_1_frozen_seed0" in capsys.readouterr().out
    assert "camera" not in content["random_frozen"]
    assert "lidar" in content["random_frozen"]
    training.fails = set()
    code, content = main()
    assert code == 0
    assert content["random_frozen"]["mAP"] == pytest.approx(0.05)


def test_baselines_of_other_data_are_not_mixed(main, tmp_path, capsys):
    main("--only", "constant")
    path = tmp_path / "docs" / "b.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": {"benchmark": "streets-v1"}}))
    code, _ = main("--only", "constant")
    assert code == 2
    assert "holds baselines of other data (benchmark streets-v1 instead of None" in capsys.readouterr().err
    path.write_text("[]")
    with pytest.raises(StudyError, match="expected blind baselines of an earlier run"):
        read_baselines(path, {})


def test_a_part_without_a_result_leaves_the_record_as_it_was():
    content = {"data": {}, "all_labels": {"mAP": 0.1}}
    assert merge(content, "random_frozen", {}) == content


def _entry(score: float, fraction: float) -> dict:
    about = {"fraction": fraction, "labelled_frames": int(400 * fraction), "scored_frames": 100, "n": 1}
    about |= {"steps": {"head": 10, "then": 20}, "options": []}
    return {"mAP": score, "NDS": score} | about


def test_detectors_of_fewer_labels_never_stand_where_those_of_all_do(capsys):
    full = {"camera": _entry(0.1, 1.0), "lidar": _entry(0.2, 1.0)}
    fewer = {"camera": _entry(0.02, 0.1)}
    content = merge({"data": {}}, "all_labels", {"camera": _entry(0.2, 1.0), "lidar": _entry(0.5, 1.0)})
    content = merge(merge(content, "random_frozen", full), "random_frozen", fewer)
    assert content["random_frozen"] == {"mAP": 0.1, "NDS": 0.1, **full, "fewer_labels": {"0.1": fewer}}
    # In the other order, and with another share in between, there is the same.
    other = merge(merge({"data": {}}, "random_frozen", fewer), "random_frozen", {"lidar": _entry(0.3, 0.25)})
    assert not {"mAP", "NDS", "camera"} & set(other["random_frozen"])
    other = merge(other, "random_frozen", full)
    assert list(other["random_frozen"]["fewer_labels"]) == ["0.1", "0.25"]
    assert other["random_frozen"]["mAP"] == 0.1
    said = table_of(content)
    assert "camera: frozen random 50% of the mAP" in said
    assert "lidar: frozen random 40% of the mAP" in said


@pytest.mark.parametrize(
    "changes", [{"steps": {"head": 10, "then": 0}}, {"options": ["a=1"]}, {"labelled_frames": 399}, {"fraction": 0.9}]
)
def test_scores_of_other_labels_or_schedules_are_not_compared(changes):
    content = merge({"data": {}}, "all_labels", {"camera": _entry(0.2, 1.0)})
    content |= {"random_frozen": {"camera": _entry(0.1, 1.0) | changes}}
    said = table_of(content)
    assert "% of the mAP" not in said
    assert f"they differ in {next(iter(changes))}" in said


def test_what_another_run_wrote_meanwhile_stays(main, monkeypatch, tmp_path):
    path = tmp_path / "docs" / "b.json"

    def slow(*_):
        add_to_baselines(path, json.loads(path.read_text())["data"], "constant", {"mAP": 0.5})
        return {"mIoU": 0.3, "classes": {}, "most_frequent": {"class": "a", "mIoU": 0.1}, "power": 0.0, "points": 1}

    main("--only", "all_labels", "--modalities", "lidar")
    monkeypatch.setattr("studies.kept_points.score_points", slow)
    _, content = main("--only", "points_alone")
    assert content["constant"] == {"mAP": 0.5}
    assert {"points_alone", "all_labels"} <= set(content)


def test_a_part_waits_for_the_process_that_has_the_file_and_is_not_lost(tmp_path):
    path = tmp_path / "b.json"
    # The other process reads the file, and writes it half a second later.
    code = """
import sys, time
from pathlib import Path
from studies import baseline_report as module
write = module.write_baselines
def slow(path, content):
    print("locked", flush=True)
    time.sleep(0.5)
    write(path, content)
module.write_baselines = slow
module.add_to_baselines(Path(sys.argv[1]), {}, "constant", {"mAP": 0.1})
"""
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        add_to_baselines(path, {}, "points_alone", {"mIoU": 0.2})
    assert other.returncode == 0
    assert {"constant", "points_alone"} <= set(json.loads(path.read_text()))
    assert [file.name for file in tmp_path.iterdir()] == ["b.json"]


def test_its_recipes_have_the_schedule_that_is_asked_for(repository, streets, tmp_path):
    baselines = BlindBaselines(repository, streets, tmp_path, ("camera", "lidar"), 0.1, (1.0,), (0,), 30, 12)
    study = baselines.study(("camera", "lidar"), (1.0,))
    for modality in ("camera", "lidar"):
        for init in ("scratch", FROZEN):
            config = study.config_to_train(Run(modality, 1.0, init, 0), None)
            assert (config.train_cfg.max_iters, config.train_cfg.val_interval) == (42, 42)
            cycles = [(part.begin, part.end, part.total_steps) for part in config.param_scheduler]
            assert cycles == [(0, 30, 30), (30, 42, 12)]
            assert config.model.init_cfg is None
            assert config.model.freeze_encoder
            assert (config.custom_hooks[0].after == 30) == (init == "scratch")
