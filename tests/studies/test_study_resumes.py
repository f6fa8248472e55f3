"""Studies that are interrupted, fail in part, or are started again with other settings."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from studies.made_with import made_with, runs_by_code
from studies.runs import RESULT, StudyError, run_jobs, write_json
from studies.study_run import Run
from studies.transfer_study import TransferStudy
from tests.factories.training_runs import DETECTOR, RUNS, Training, write_validation


def test_finished_runs_are_left_alone_and_failed_ones_are_repeated(make_study, training):
    training.fails = {RUNS[2]}
    results, failures = make_study().run(launcher=training)
    assert len(results) == 5
    assert "ValueError: out of luck" in failures[f"runs/{RUNS[2]}"]
    assert "exit code 1" in failures[f"runs/{RUNS[2]}"]
    again = Training()
    results, failures = make_study().run(launcher=again)
    assert (again.names, len(results), failures) == ([RUNS[2]], 6, {})


def test_more_seeds_and_fractions_add_runs_to_a_finished_study(make_study, training):
    make_study().run(launcher=training)
    again = Training()
    results, _ = make_study(seeds=(0, 1, 2)).run(launcher=again)
    assert again.names == [f"lidar_0.1_{init}_seed2" for init in ("scratch", "pretrained", "frozen")]
    assert len(results) == 9


def test_a_study_of_before_the_references_gets_them_and_keeps_its_runs(make_study, training):
    training.fails = {name for name in RUNS if "frozen" in name}
    make_study().run(launcher=training)
    again = Training()
    results, failures = make_study().run(launcher=again)
    assert again.names == ["lidar_0.1_frozen_seed0", "lidar_0.1_frozen_seed1"]
    assert (len(results), failures) == (6, {})


def test_an_interrupted_run_goes_on_from_its_checkpoint(make_study, training):
    training.fails, training.leaves_checkpoint = {RUNS[0]}, True
    make_study().run(launcher=training)
    again = Training()
    results, _ = make_study().run(launcher=again)
    assert again.names == [RUNS[0]]
    assert again.commands[0][-1] == "--resume"
    assert len(results) == 6


def test_a_run_that_was_interrupted_after_its_last_step_starts_again(make_study, training):
    training.fails, training.leaves_checkpoint = {RUNS[0]}, True
    make_study().run(launcher=training)
    write_validation(make_study().out / "runs" / RUNS[0], "2025_0000", 0.9)

    class EndsAtOnce(Training):
        def __call__(self, command, log, environment):
            self.validates = "--resume" not in command
            if not self.validates:
                write_validation(Path(command[command.index("--work-dir") + 1]), "2026_0000")
            return super().__call__(command, log, environment)

    again = EndsAtOnce()
    results, failures = make_study().run(launcher=again)
    assert failures == {}
    assert [command[-1] == "--resume" for command in again.commands] == [True, False]
    assert results[Run("lidar", 0.1, "scratch", 0)]["mAP"] == 0.2


def test_a_training_without_a_score_is_a_failure_that_says_so(make_study, training):
    training.validates = False
    results, failures = make_study().run(launcher=training)
    assert results == {}
    assert all("the work dir has no result" in text for text in failures.values())


def test_when_pre_training_fails_scratch_goes_on(make_study, training):
    training.fails = {"pretraining"}
    results, failures = make_study().run(launcher=training)
    assert {run.init for run in results} == {"scratch", "frozen"}
    assert len(results) == 4
    assert set(failures) == {"pretrain/pretraining", *(f"runs/lidar_0.1_pretrained_seed{k}" for k in (0, 1))}


def test_a_given_encoder_saves_the_pre_training(make_study, training, tmp_path):
    (tmp_path / "given.safetensors").write_bytes(b"other weights")
    make_study(pretrained={"lidar": tmp_path / "given.safetensors"}).run(launcher=training)
    assert training.names == RUNS
    assert f"model.init_cfg.checkpoint={tmp_path / 'given.safetensors'}" in training.commands[1]


def _other_data(study: TransferStudy) -> dict:
    (study.data_root / "val.pkl").write_text("other")
    return {}


def _other_recipe(study: TransferStudy) -> dict:
    study.configs["lidar"].write_text(DETECTOR + "lr = 1")
    return {}


def _other_encoder(study: TransferStudy) -> dict:
    path = study.data_root / "given.safetensors"
    path.write_bytes(b"other weights")
    return {"pretrained": {"lidar": path}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_other_data, r"val\.pkl"),
        (_other_recipe, "recipe_sha256"),
        (lambda study: {"options": ("model.lr=2",)}, "recipe_sha256"),
        (_other_encoder, "checkpoint_sha256"),
    ],
    ids=["data", "recipe", "options", "encoder"],
)
def test_changed_settings_are_refused_before_anything_starts(make_study, training, change, words):
    study = make_study()
    study.run(launcher=training)
    again = Training()
    with pytest.raises(StudyError, match=f"made with other settings .*{words}.* choose another --out"):
        make_study(**change(study)).run(launcher=again)
    assert again.commands == []


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_failed_run_may_be_repeated_with_other_settings_unless_it_left_a_checkpoint(make_study, training, checkpoint):
    training.fails, training.leaves_checkpoint = set(RUNS), checkpoint
    make_study().run(launcher=training)
    again = Training()
    if checkpoint:
        with pytest.raises(StudyError, match="made with other settings"):
            make_study(options=("model.lr=2",)).run(launcher=again)
    else:
        assert len(make_study(options=("model.lr=2",)).run(launcher=again)[0]) == 6


def test_data_that_moved_is_still_the_same(make_study, training, tmp_path):
    make_study().run(launcher=training)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("train.pkl", "val.pkl"):
        (moved / name).write_text(name)
    again = Training()
    results, _ = make_study(data_root=moved).run(launcher=again)
    assert (again.commands, len(results)) == ([], 6)


def test_data_of_several_info_files_are_watched_together(make_study, tmp_path):
    (tmp_path / "detector.py").write_text(DETECTOR.replace('"train.pkl"', '["train.pkl", "more.pkl"]'))
    run = Run("lidar", 0.1, "scratch", 0)
    with pytest.raises(StudyError, match=r"has no more\.pkl"):
        make_study().training(run, None)
    (tmp_path / "more.pkl").write_text("more")
    assert {"train.pkl", "more.pkl", "val.pkl"} <= set(make_study().training(run, None).settings)


@pytest.mark.parametrize(("asked", "threads"), [("", "2"), ("16", "2"), ("1", "1")])
def test_parallel_runs_share_the_cores_and_take_no_more_threads_than_asked_for(
    make_study, training, monkeypatch, asked, threads
):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    results, _ = make_study().run(parallel=4, launcher=training)
    assert len(results) == 6
    assert {environment["OMP_NUM_THREADS"] for environment in training.environments} == {threads}


def test_an_interruption_starts_nothing_more(make_study):
    class Interrupted(Training):
        def __call__(self, command, log, environment):
            self.commands.append(list(command))
            os.kill(os.getpid(), signal.SIGINT)
            # As a process that takes a moment to end.
            time.sleep(1.0)
            return 130

    study, training = make_study(pretrain_seeds=(0, 1)), Interrupted()
    jobs = [study.pretraining(name) for name in study.encoder_names()]
    # A shell starts what runs in the background with interruptions ignored; Python then leaves it at that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_jobs(jobs, 1, training)
    finally:
        signal.signal(signal.SIGINT, before)
    assert training.names == ["pretraining_seed0"]
    assert all(job.finished() is None for job in jobs)


@pytest.mark.parametrize("frozen", [(), ("lidar",)])
def test_results_of_one_protocol_are_not_taken_for_another(make_study, training, frozen):
    other = () if frozen else ("lidar",)
    make_study(references=(), frozen=frozen).run(launcher=training)
    again = Training()
    with pytest.raises(StudyError, match=r"made with other settings .*frozen"):
        make_study(references=(), frozen=other).run(launcher=again)
    assert again.commands == []


@pytest.mark.parametrize("content", [b"other weights", None])
def test_a_pre_training_whose_encoder_is_another_or_gone_is_refused(make_study, training, content):
    study = make_study(seeds=(0,), references=())
    study.run(launcher=training)
    folder = study.out / "pretrain" / "pretraining"
    encoder = folder / "encoder.safetensors"
    encoder.unlink()
    if content:
        encoder.write_bytes(content)
    again = Training()
    with pytest.raises(StudyError, match="is not the encoder that was made there") as error:
        make_study(seeds=(0, 1), references=()).run(launcher=again)
    assert f"remove {folder} to pre-train anew" in str(error.value)
    assert again.commands == []


@pytest.mark.parametrize("damage", ['{"iter": 1, "los\n', "", None])
def test_a_run_whose_scores_cannot_be_used_or_kept_fails_alone_and_may_be_repeated(
    make_study, training, monkeypatch, damage
):
    name = "lidar_0.1_pretrained_seed0"

    def write(work_dir: Path, start: str, score: float) -> None:
        write_validation(work_dir, start, float("nan") if damage == "" and work_dir.name == name else score)
        log = work_dir / start / "vis_data" / "scalars.json"
        if damage and work_dir.name == name:
            log.write_text(damage + log.read_text())

    def full_disk(path: Path, content: dict) -> None:
        if path.parent.name == name and path.name == RESULT:
            raise OSError(28, "No space left on device", str(path))
        write_json(path, content)

    training.write = write
    with monkeypatch.context() as patch:
        if damage is None:
            patch.setattr("studies.runs.write_json", full_disk)
        results, failures = make_study(references=()).run(launcher=training)
    assert (len(results), list(failures)) == (3, [f"runs/{name}"])
    said = {'{"iter": 1, "los\n': "expected JSON", "": "nuscenes/mAP is nan", None: "No space left"}[damage]
    assert said in failures[f"runs/{name}"]
    again = Training()
    results, failures = make_study(references=()).run(launcher=again)
    assert (again.names, len(results), failures) == ([name], 4, {})


def test_validations_of_an_attempt_that_left_nothing_to_resume_are_none_of_the_next(make_study, training):
    def dies(command, log, environment):
        training(command, log, environment)
        return int(log.parent.parent.name == "runs")

    training.scores = (0.7, 0.8, 0.9)
    options = {"references": (), "seeds": (0,)}
    make_study(**options, options=("train_cfg.val_interval=1",)).run(launcher=dies)
    results, failures = make_study(**options, options=("train_cfg.val_interval=9",)).run(launcher=Training())
    assert (len(results), failures) == (2, {})
    assert all("earlier" not in scores and scores["mAP"] < 0.5 for scores in results.values())


def _forget(study: TransferStudy, key: str, inside: str | None = None) -> None:
    """Write results as code did that did not note a key."""
    for path in [*study.out.glob("*/*/result.json"), *study.out.glob("*/*/settings.json")]:
        content = json.loads(path.read_text())
        (content[inside] if inside else content).pop(key, None)
        path.write_text(json.dumps(content))


def test_results_of_older_code_are_taken_and_scores_by_other_true_boxes_are_not(make_study, training, tmp_path):
    table = tmp_path / "v1.0-mini" / "sample_annotation.json"
    table.parent.mkdir()
    table.write_text("[1]")
    study = make_study(seeds=(0,))
    study.run(launcher=training)
    table.write_text("[2]")
    with pytest.raises(StudyError, match=r"made with other settings \(true_boxes"):
        make_study(seeds=(0,)).run(launcher=Training())
    _forget(study, "true_boxes", "settings")
    _forget(study, "made_with")
    again = Training()
    results, failures = make_study(seeds=(0,)).run(launcher=again)
    assert (again.commands, len(results), failures) == ([], 3, {})


def test_runs_of_different_code_are_told_apart(make_study, training, monkeypatch):
    study = make_study(seeds=(0,), references=())
    study.run(launcher=training)
    _forget(study, "made_with")
    monkeypatch.setattr("studies.runs.made_with", lambda: {"code": "1"})
    training.fails, training.leaves_checkpoint = {"lidar_0.1_scratch_seed1"}, True
    make_study(references=()).run(launcher=training)
    monkeypatch.setattr("studies.runs.made_with", lambda: {"code": "2"})
    done, _ = make_study(references=()).run_trainings(1, Training())
    assert runs_by_code(done) == [
        {"made_with": None, "runs": ["lidar_0.1_scratch_seed0", "lidar_0.1_pretrained_seed0"]},
        {"made_with": [{"code": "1"}, {"code": "2"}], "runs": ["lidar_0.1_scratch_seed1"]},
        {"made_with": [{"code": "1"}], "runs": ["lidar_0.1_pretrained_seed1"]},
    ]


def test_the_code_is_that_of_the_package():
    assert made_with() == made_with()
    assert {"code", "torch", "mmengine"} <= set(made_with())
    assert len(made_with()["code"]) == 64
