"""The segmentation study with factory trainings."""

import argparse
import json
from pathlib import Path

import pytest

from ponderv2.command_line import run_tool
from studies.arguments import POINTS as POINTS_ALONE
from studies.runs import StudyError
from studies.segmentation_command import run_segmentation_study
from studies.segmentation_report import describe_sample
from studies.segmentation_study import SegmentationStudy
from studies.study_arguments import TAKEN, _named_path, add_segmentation_arguments
from studies.study_run import Run
from tests.factories.tool_scripts import load_tool
from tests.factories.training_runs import DETECTOR, PRETRAINING, Training, write_segmentation

CELLS = [("linear_probe", 1.0), ("decoder_probe", 1.0), ("finetune", 0.01), ("finetune", 0.1)]
TRAINED = "\ntrain_cfg = dict(max_iters=7)\n"
RECIPE = "pretraining.py"
POINTS = {"mIoU": 0.3, "classes": {"car": 0.2}, "most_frequent": {"class": "driveable_surface", "mIoU": 0.03}}


@pytest.fixture
def training() -> Training:
    training = Training()
    training.write = write_segmentation
    return training


@pytest.fixture
def recipes(tmp_path) -> Path:
    for name in ("train.pkl", "val.pkl"):
        (tmp_path / name).write_text(name)
    (tmp_path / "segmentor.py").write_text(DETECTOR + TRAINED)
    (tmp_path / "pretraining.py").write_text(PRETRAINING + TRAINED)
    return tmp_path


@pytest.fixture
def make_study(recipes):
    def make(**changes) -> SegmentationStudy:
        arguments = {
            "train_tool": Path("tools/train.py"),
            "data_root": recipes,
            "out": recipes / "out",
            "protocols": ("linear_probe", "decoder_probe", "finetune"),
            "arms": ("pretrained", "semantic"),
            "fractions": (0.01, 0.1),
            "seeds": (0,),
            "configs": dict.fromkeys(("linear_probe", "decoder_probe", "finetune"), recipes / "segmentor.py"),
            "pretrain_configs": dict.fromkeys(("pretrained", "semantic"), recipes / "pretraining.py"),
        }
        return SegmentationStudy(**arguments | changes)

    return make


@pytest.fixture
def main(repository, recipes, training, monkeypatch):
    """Runs the tool with factory trainings; returns the exit code and what is in the JSON file."""
    monkeypatch.setattr("studies.segmentation_command.check_study", lambda study: None)
    monkeypatch.setattr("studies.segmentation_command.frames_of_run", lambda study, run: ([], []))
    monkeypatch.setattr("studies.kept_points._open", lambda data_root: None)
    monkeypatch.setattr("studies.kept_points.score_points", lambda *_: POINTS | {"power": 0.0, "points": 7})

    def run(*words: object, launcher: Training = training) -> tuple[int, dict]:
        written = recipes / "docs" / "segmentation_study.json"
        line = ["--data-root", recipes, "--out", recipes / "out", "--json", written, "--seeds", 0, 1]
        line += ["--config", *(f"{name}={recipes / 'segmentor.py'}" for name, _ in CELLS[:3])]
        line += ["--pretrain-config", f"pretrained={recipes / 'pretraining.py'}", "--fractions", 0.01, 0.1, *words]
        code = run_tool(
            "",
            add_segmentation_arguments,
            lambda given: run_segmentation_study(given, repository, launcher),
            list(map(str, line)),
        )
        return code, json.loads(written.read_text()) if written.is_file() else {}

    return run


def test_an_arm_may_be_tried_in_some_cells_alone(main, recipes, training, capsys):
    words = ("--pretrain-config", f"pretrained={recipes / RECIPE}", f"semantic={recipes / RECIPE}")
    _, content = main(*words, "--cells", "semantic=finetune:0.1")
    by_cell = {(row["protocol"], row["fraction"]): row for row in content["rows"]}
    assert [cell for cell in CELLS if "semantic" in by_cell[cell]] == [("finetune", 0.1)]
    assert all("pretrained" in row and row["n"] == 2 for row in content["rows"])
    # Two seeds of four cells from scratch and pre-trained, the arm in one cell, and two pre-trainings.
    assert len(training.commands) == 2 * (2 * 4 + 1) + 2
    code, _ = main(*words, "--cells", "semantic=finetune:0.5")
    assert code == 2
    assert "--cells semantic=finetune:0.5: the study has no such start" in capsys.readouterr().err


def test_no_arm_is_named_as_another_key_of_a_row(main):
    _, content = main()
    (*_, row) = content["rows"]
    assert set(row) - {"pretrained"} <= {*TAKEN, POINTS_ALONE}
    for name in TAKEN:
        with pytest.raises(argparse.ArgumentTypeError, match=f"none of .*{name}"):
            _named_path(f"{name}=encoder.safetensors")


def test_two_studies_do_not_share_a_folder(main, recipes, monkeypatch, capsys):
    def other(descriptor, flags):
        raise BlockingIOError

    with monkeypatch.context() as patch:
        patch.setattr("fcntl.lockf", other)
        code, content = main()
    assert (code, content) == (2, {})
    assert f"is running a study in {recipes / 'out'} already" in capsys.readouterr().err
    assert main()[0] == 0


def test_the_number_of_gpus_is_a_setting_unless_it_is_one(make_study, recipes):
    one, two = make_study(), make_study(gpus=2)
    run = Run("finetune", 0.1, "scratch", 0)
    for jobs in (
        (one.training(run, None), two.training(run, None)),
        (one.pretraining("pretrained"), two.pretraining("pretrained")),
    ):
        assert "gpus" not in jobs[0].settings
        assert jobs[1].settings == jobs[0].settings | {"gpus": 2}


def test_each_cell_has_a_baseline_and_every_arm_for_each_seed(make_study, training):
    results, failures = make_study(seeds=(0, 1)).run(launcher=training)
    assert failures == {}
    assert training.names[:2] == ["pretrained", "semantic"]
    runs = [
        f"{protocol}_{fraction:g}_{init}_seed{seed}"
        for seed in (0, 1)
        for protocol, fraction in CELLS
        for init in ("scratch", "pretrained", "semantic")
    ]
    assert training.names[2:] == runs
    assert results[Run("finetune", 0.1, "pretrained", 1)] == {
        "mIoU": pytest.approx(0.41),
        "fwIoU": pytest.approx(0.82),
        "car_IoU": pytest.approx(0.205),
        "bus_IoU": 0.0,
    }
    # Both of a pair get the same frames and the same random numbers.
    by_name = dict(zip(training.names, training.commands, strict=True))
    scratch, pretrained = (by_name[f"finetune_0.1_{init}_seed1"] for init in ("scratch", "pretrained"))
    differ = [a for a, b in zip(scratch, pretrained, strict=True) if a != b]
    assert [a.rpartition("/")[2] for a in differ] == ["model.init_cfg=None", "finetune_0.1_scratch_seed1"]
    assert {"train_dataloader.dataset.dataset.fraction=0.1", "randomness.seed=1"} <= set(scratch)


def test_a_repeated_study_runs_what_is_missing(make_study, training):
    training.fails, training.leaves_checkpoint = {"finetune_0.1_semantic_seed0"}, True
    _, failures = make_study(protocols=("finetune",)).run(launcher=training)
    assert list(failures) == ["runs/finetune_0.1_semantic_seed0"]
    again = Training()
    again.write = write_segmentation
    results, failures = make_study(protocols=("finetune",)).run(launcher=again)
    assert (again.names, failures) == (["finetune_0.1_semantic_seed0"], {})
    assert again.commands[0][-1] == "--resume"
    assert len(results) == 6


def test_each_seed_may_have_a_pre_training_of_its_own(make_study, training):
    study = make_study(
        protocols=("finetune",),
        fractions=(0.1,),
        seeds=(0, 1),
        pretrain_seeds=(5, 6),
        of_pretraining={"semantic": ("model.fraction_seed={seed}",)},
    )
    study.run(launcher=training)
    assert training.names[:4] == ["pretrained_seed5", "semantic_seed5", "pretrained_seed6", "semantic_seed6"]
    assert "randomness.seed=6" in training.commands[3]
    assert [f"model.fraction_seed={k}" in training.commands[j] for k, j in ((5, 1), (6, 3), (5, 0))] == [
        True,
        True,
        False,
    ]
    by_name = dict(zip(training.names, training.commands, strict=True))
    start = f"model.init_cfg.checkpoint={study.out / 'pretrain' / 'semantic_seed6' / 'encoder.safetensors'}"
    assert start in by_name["finetune_0.1_semantic_seed1"]


def test_a_start_that_is_a_file_serves_all_seeds_beside_those_with_their_own(make_study, tmp_path):
    file = tmp_path / "encoder.safetensors"
    study = make_study(seeds=(0, 1), pretrain_seeds=(5, 6), pretrained={"pretrained": file})
    assert {study.encoder_name(run) for run in study.runs()} == {None, "pretrained", "semantic_seed5", "semantic_seed6"}
    said = describe_sample(study)
    assert "each seed of semantic has a pre-training of its own" in said
    assert "one pre-training of pretrained serves all seeds" in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pretrain_seeds": (1, 2)}, "one for all seeds or one for each of the 1"),
        (
            {"pretrained": {"pretrained": Path("x"), "semantic": Path("y")}, "pretrain_seeds": (1,)},
            "--pretrain-seeds: every start is a file",
        ),
        ({"arms": ("pretrained", "other")}, "nothing to start other from"),
        ({"probe_fractions": (1.0, 1.0)}, "--probe-fractions: expected different values"),
        ({"configs": {}}, "no recipe for linear_probe"),
    ],
)
def test_a_study_that_cannot_be_run_says_why(make_study, changes, words):
    with pytest.raises(StudyError, match=words):
        make_study(**changes)


def test_the_rows_have_every_start_with_its_scores_classes_and_pairs(main, recipes, capsys):
    code, content = main(
        "--pretrain-config", f"pretrained={recipes / 'pretraining.py'}", f"semantic={recipes / 'pretraining.py'}"
    )
    assert code == 0
    assert [(row["protocol"], row["fraction"]) for row in content["rows"]] == CELLS
    row = content["rows"][3]
    assert (row["metric"], row["n"], row["steps"], row["recipe"]) == ("mIoU", 2, 7, "segmentor.py")
    assert row["scratch"]["values"] == pytest.approx([0.2, 0.21])
    assert row["scratch"]["mean"] == pytest.approx(0.205)
    assert row["scratch"]["std"] == pytest.approx(0.01 / 2**0.5)
    assert row["scratch"]["classes"]["car"]["values"] == pytest.approx([0.1, 0.105])
    for arm in ("pretrained", "semantic"):
        assert row[arm]["values"] == pytest.approx([0.4, 0.41])
        assert row[arm]["pairs"]["values"] == pytest.approx([0.2, 0.2])
        assert (row[arm]["n"], row[arm]["beyond_two"]) == (2, True)
        assert len(row[arm]["minutes"]) == 2
        assert set(content["pretrainings"][arm]) == {*("recipe", "steps", "minutes", "sha256", "made_with")}
    assert row["points_alone"]["mean"] == 0.3
    assert content["seeds"] == [0, 1]
    said = capsys.readouterr().out
    line = next(line for line in said.splitlines() if "| finetune" in line and "| 10%" in line)
    assert "20.50 ± 0.71" in line
    assert (recipes / "out" / "study.png").read_bytes().startswith(b"\x89PNG")


def test_failed_runs_are_named_and_left_out(main, training, recipes):
    training.fails = {"linear_probe_1_pretrained_seed1"}
    code, content = main("--protocols", "linear_probe", "--config", f"linear_probe={recipes / 'segmentor.py'}")
    assert code == 1
    assert content["failed"] == ["runs/linear_probe_1_pretrained_seed1"]
    assert content["rows"][0]["pretrained"]["values"] == [pytest.approx(1.3), None]
    assert content["rows"][0]["n"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--protocols", "probe"), "invalid choice: 'probe'"),
        (("--fractions", "1.5"), "expected a share above 0 and at most 1, got 1.5"),
        (("--pretrained", "scratch=x"), "expected NAME=PATH with a name of small letters and digits"),
        (
            ("--cfg-options", "other:model.a=1"),
            "expected one of linear_probe, decoder_probe, finetune before",
        ),
        (("--protocols", "finetune"), "--config linear_probe="),
        (("--pretrained", "pretrained=x"), "--pretrained and --pretrain-config both name pretrained"),
    ],
)
def test_wrong_words_are_one_error_and_start_nothing(main, training, capsys, words, said):
    assert main(*words)[0] == 2
    assert said in capsys.readouterr().err
    assert training.commands == []


def test_options_of_one_protocol_change_that_one_alone(main, training):
    main("--cfg-options", "model.a=1", "finetune:train_cfg.max_iters=9", "--points-alone", "no", "--seeds", 0)
    by_name = dict(zip(training.names, training.commands, strict=True))
    tuned, probed = (by_name[name] for name in ("finetune_0.1_scratch_seed0", "linear_probe_1_scratch_seed0"))
    assert "train_cfg.max_iters=9" in tuned
    assert "train_cfg.max_iters=9" not in probed
    assert "model.a=1" in tuned
    assert "model.a=1" in probed


def test_it_says_that_it_checks_before_it_trains(repository, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "studies.segmentation_command.run_segmentation_study", lambda given, root: print("trained") or 0
    )
    line = ["--data-root", str(tmp_path), "--out", str(tmp_path / "out")]
    assert load_tool(repository, "segmentation_study").main(line) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("checking data, recipes and starts")
    assert last == "trained"
