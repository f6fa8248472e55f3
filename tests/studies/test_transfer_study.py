"""The transfer study with factory trainings."""

import os
import signal
import time
from pathlib import Path

import pytest
from mmengine.config import Config

from studies.runs import StudyError, run_jobs
from studies.study_run import Run
from studies.transfer_study import TransferStudy
from studies.validation_log import validations
from tests.factories.training_runs import DETECTOR, Training, write_validation

RUNS = [f"lidar_0.1_{init}_seed{seed}" for seed in (0, 1) for init in ("scratch", "pretrained", "frozen")]


def test_a_study_pre_trains_once_and_then_trains_every_pair(make_study, training):
    results, failures = make_study().run(launcher=training)
    assert failures == {}
    assert training.names == ["pretraining", *RUNS]
    assert {run.name: values["mAP"] for run, values in results.items()} == {
        "lidar_0.1_scratch_seed0": 0.2,
        "lidar_0.1_pretrained_seed0": pytest.approx(0.4),
        "lidar_0.1_frozen_seed0": pytest.approx(0.05),
        "lidar_0.1_scratch_seed1": pytest.approx(0.21),
        "lidar_0.1_pretrained_seed1": pytest.approx(0.41),
        "lidar_0.1_frozen_seed1": pytest.approx(0.06),
    }
    assert next(iter(results.values()))["mATE"] == 0.7


def test_a_run_and_its_baseline_differ_in_their_start_alone(make_study, training):
    make_study(options=("model.a=1",)).run(launcher=training)
    scratch, pretrained = (training.commands[k] for k in (1, 2))
    same = [(a, b) for a, b in zip(scratch, pretrained, strict=True) if a != b]
    assert [a.rpartition("/")[2] for pair in same for a in pair] == [
        "model.init_cfg=None",
        "encoder.safetensors",
        "lidar_0.1_scratch_seed0",
        "lidar_0.1_pretrained_seed0",
    ]
    assert pretrained[1:3] == ["tools/train.py", str(make_study().configs["lidar"])]
    for option in (
        "model.a=1",
        "train_dataloader.dataset.dataset.fraction=0.1",
        "train_dataloader.dataset.dataset.fraction_seed=0",
        "randomness.seed=0",
    ):
        assert option in scratch


def test_the_options_do_to_a_recipe_what_they_should(make_study, training):
    from ponderv2.engine import load_config, parse_options

    study = make_study()
    encoder = study.out / "encoder.safetensors"
    encoder.parent.mkdir(parents=True)
    encoder.write_bytes(b"weights")
    for init, start in (("scratch", None), ("pretrained", {"checkpoint": str(encoder), "new": ("convs",)})):
        job = study.training(Run("lidar", 0.25, init, 3), encoder)
        options = job.command[job.command.index("--cfg-options") + 1 :]
        config = load_config(study.configs["lidar"], options=parse_options(options))
        assert config.model.init_cfg == start
        assert config.train_dataloader.dataset.dataset.fraction == 0.25
        assert config.train_dataloader.dataset.dataset.fraction_seed == 3
        assert config.randomness.seed == 3


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


def test_many_gpus_a_training_start_with_torchrun(make_study, training):
    job = make_study(gpus=4).training(Run("lidar", 0.1, "scratch", 0), None)
    assert job.command[:5] == ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4", "tools/train.py")
    assert job.command[job.command.index("--launcher") + 1] == "pytorch"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fractions": (1.5,)}, r"shares in \(0, 1\], got 1\.5"),
        ({"seeds": (1, 1)}, "--seeds: expected different values"),
        ({"models": ("fusion",)}, "no recipe for fusion"),
        ({"pretrain_configs": {}}, "nothing to start lidar from"),
        ({"starts": ("pretrained", "other")}, "nothing to start other from"),
        (
            {"starts": ("pretrained", "slow"), "same_encoder": {"slow": "fast"}},
            "--starts slow=fast: expected scratch or",
        ),
        ({"frozen": ("camera",)}, "--frozen camera: the study has no such model, expected lidar"),
        ({"cells": {"pretrained": (("lidar", 0.5),)}}, "--cells pretrained=lidar:0.5: the study has no such"),
        ({"pretrained": {"lidar": Path("x")}, "pretrain_seeds": (0, 1)}, "every start is a file of --pretrained"),
        ({"seeds": (0, 1000), "pretrain_seeds": (0, 1)}, "two pairs would have the same random numbers"),
    ],
)
def test_a_study_that_cannot_be_run_says_why(make_study, changes, words):
    with pytest.raises(StudyError, match=words):
        make_study(**changes)


def test_a_recipe_without_a_start_or_data_without_info_file_is_refused(make_study, tmp_path):
    run = Run("lidar", 0.1, "scratch", 0)
    with pytest.raises(StudyError, match=r"model\.init_cfg is None"):
        make_study(configs={"lidar": tmp_path / "pretraining.py"}).training(run, None)
    (tmp_path / "val.pkl").unlink()
    with pytest.raises(StudyError, match=r"has no val\.pkl; .* has no tables"):
        make_study().training(run, None)


def test_the_last_validation_of_the_last_start_counts_and_earlier_ones_are_kept(tmp_path):
    assert validations(tmp_path) is None
    write_validation(tmp_path, "20260101_000000", 0.9)
    assert validations(tmp_path) == {"mAP": 0.9, "NDS": 0.45, "mATE": 0.7}
    # Resumed; validated again at the same step, then to the end.
    write_validation(tmp_path, "20260102_000000", 0.1, 0.3)
    found = validations(tmp_path)
    assert found["mAP"] == 0.3
    assert found["earlier"] == {"2": {"mAP": 0.1, "NDS": 0.05, "mATE": 0.7}}
    write_validation(tmp_path, "20260103_000000")
    assert validations(tmp_path) is None


@pytest.mark.parametrize("modality", ["camera", "lidar", "fusion"])
def test_the_tiny_recipes_are_ready_for_a_study(repository, tmp_path, modality):
    for name in ("nuscenes_infos_train.pkl", "nuscenes_infos_val.pkl"):
        (tmp_path / name).write_text(name)
    (tmp_path / "encoder.safetensors").write_bytes(b"weights")
    tiny = repository / "configs" / "tiny"
    study = TransferStudy(
        train_tool=repository / "tools" / "train.py",
        data_root=tmp_path,
        out=tmp_path / "out",
        models=(modality,),
        fractions=(0.1,),
        seeds=(0,),
        configs={modality: tiny / f"uvtr_{modality}_synthetic.py"},
        pretrain_configs={modality: tiny / f"ponderv2_{modality}_synthetic.py"},
    )
    job = study.training(Run(modality, 0.1, "pretrained", 0), tmp_path / "encoder.safetensors")
    assert "train_dataloader.dataset.fraction=0.1" in job.command
    hooks = Config.fromfile(str(study.pretrain_configs[modality])).custom_hooks
    assert any("EncoderExportHook" in str(hook.type) for hook in hooks)
    assert set(study.pretraining(f"ponderv2_{modality}_synthetic").settings) >= {
        "nuscenes_infos_train.pkl",
        "recipe_sha256",
    }


def test_a_baseline_is_the_one_that_the_recipe_names(make_study, tmp_path):
    recipe = tmp_path / "with_baseline.py"
    recipe.write_text(f'{DETECTOR}scratch = {{"model.init_cfg": None, "model.encoder.weights": "imagenet"}}\n')
    study = make_study(configs={"lidar": recipe})
    baseline = study.training(Run("lidar", 0.1, "scratch", 0), None).command
    assert {"model.init_cfg=None", "model.encoder.weights=imagenet"} <= set(baseline)
    encoder = tmp_path / "encoder.safetensors"
    encoder.write_bytes(b"weights")
    pretrained = study.training(Run("lidar", 0.1, "pretrained", 0), encoder).command
    assert f"model.init_cfg.checkpoint={encoder}" in pretrained
    assert not any("imagenet" in option for option in pretrained)


def test_a_frozen_baseline_is_the_baseline_whose_encoder_never_joins(make_study, tmp_path):
    recipe = tmp_path / "head_first.py"
    recipe.write_text(
        f'{DETECTOR}scratch = {{"model.init_cfg": None, "model.encoder.weights": "imagenet"}}\n'
        'custom_hooks = [dict(type="Progress"), dict(type="ponderv2.engine.UnfreezeEncoderHook", after=1000)]\n'
    )
    study = make_study(configs={"lidar": recipe})
    scratch, frozen = (study.training(Run("lidar", 0.1, init, 0), None) for init in ("scratch", "frozen"))
    assert frozen.command[: len(scratch.command)] == scratch.command
    assert frozen.command[len(scratch.command) :] == ("model.freeze_encoder=True", "custom_hooks.1.after=2147483647")
    assert {k: v for k, v in frozen.settings.items() if k != "init"} == {
        k: v for k, v in scratch.settings.items() if k != "init"
    }


def _start(command: list[str]) -> str:
    """What a training starts from: the folder of its encoder, or scratch."""
    (option,) = [word for word in command if word.startswith("model.init_cfg")]
    return "scratch" if option.endswith("None") else option.split("/")[-2]


def test_every_fine_tuning_seed_is_paired_with_every_pre_training_seed(make_study, training):
    results, failures = make_study(seeds=(0, 1, 2), pretrain_seeds=(0, 1)).run(launcher=training)
    assert failures == {}
    assert training.names[:2] == ["pretraining_seed0", "pretraining_seed1"]
    assert "randomness.seed=1" in training.commands[1]
    by_name = dict(zip(training.names, training.commands, strict=True))
    pairs = [(seed, p) for seed in (0, 1, 2) for p in (0, 1)]
    drawn = set()
    for seed, p in pairs:
        both = [by_name[f"lidar_0.1_{init}_seed{seed}_pretrain{p}"] for init in ("scratch", "pretrained")]
        assert [_start(command) for command in both] == ["scratch", f"pretraining_seed{p}"]
        seeds = [[o for o in command if "seed=" in o] for command in both]
        assert seeds[0] == seeds[1]
        assert f"train_dataloader.dataset.dataset.fraction_seed={seed}" in seeds[0]
        drawn |= {o for o in seeds[0] if o.startswith("randomness")}
    # As many trainings from scratch as pre-trained, each with random numbers of its own.
    assert len(drawn) == 6
    # The reference has the labelled frames of each seed once.
    assert sum("frozen" in name for name in training.names) == 3
    assert len(results) == 2 * 6 + 3


def test_a_pre_training_is_shared_by_models_and_named_by_its_recipe_and_start(make_study, training, tmp_path):
    recipe = tmp_path / "pretraining.py"
    recipes = {key: recipe for model in ("lidar", "camera") for key in (model, f"{model}:length250")}
    study = make_study(
        models=("lidar", "camera"),
        starts=("pretrained", "length250"),
        pretrain_configs=recipes,
        of_pretraining={"length250": ("train_cfg.max_iters=250",)},
        seeds=(0,),
        references=(),
    )
    study.run(launcher=training)
    assert training.names[:2] == ["pretraining", "pretraining_length250"]
    assert ["train_cfg.max_iters=250" in command for command in training.commands] == [False, True] + [False] * 6
    starts = [_start(command) for command in training.commands[2:]]
    assert starts == ["scratch", "pretraining", "pretraining_length250"] * 2
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "pretraining.py"
    other.write_text(recipe.read_text())
    with pytest.raises(StudyError, match="has a file name and start of the same name"):
        make_study(models=("lidar", "camera"), pretrain_configs={"lidar": recipe, "camera": other})


def test_starts_may_share_an_encoder_and_differ_in_what_is_trained(make_study, training, tmp_path):
    detector = tmp_path / "rates.py"
    detector.write_text(
        DETECTOR + 'optim_wrapper = dict(optimizer=dict(lr=1))\nparam_scheduler = [dict(type="OneCycleLR")]\n'
    )
    study = make_study(
        configs={"lidar": detector},
        seeds=(0,),
        starts=("pretrained", "slow", "slowscratch"),
        same_encoder={"slow": "pretrained", "slowscratch": "scratch"},
        encoder_rates={"slow": 0.2, "slowscratch": 0.2},
        of_start={"slow": ("model.a=1",)},
    )
    study.run(launcher=training)
    by_name = dict(zip(training.names, training.commands, strict=True))
    assert training.names[0] == "pretraining"
    assert len(training.names) == 6
    rate = {
        "optim_wrapper.paramwise_cfg.custom_keys.encoder.lr_mult=0.2",
        "param_scheduler.0.type=ponderv2.engine.GroupOneCycleLR",
    }
    for init, start, slow in (
        ("scratch", "scratch", False),
        ("pretrained", "pretraining", False),
        ("slow", "pretraining", True),
        ("slowscratch", "scratch", True),
        ("frozen", "scratch", False),
    ):
        command = by_name[f"lidar_0.1_{init}_seed0"]
        assert (_start(command), rate <= set(command)) == (start, slow)
        assert ("model.a=1" in command) == (init == "slow")


def test_a_recipe_with_rates_of_its_own_is_not_given_another(make_study, tmp_path):
    detector = tmp_path / "rates.py"
    keys = '{"encoder.img_backbone": dict(lr_mult=0.1)}'
    detector.write_text(
        f"{DETECTOR}optim_wrapper = dict(paramwise_cfg=dict(custom_keys={keys}))\nparam_scheduler = []\n"
    )
    study = make_study(configs={"lidar": detector}, encoder_rates={"": 0.5})
    with pytest.raises(
        StudyError, match=r"--encoder-rate 0\.5: .* has a learning rate for encoder\.img_backbone of its own"
    ):
        study.training(Run("lidar", 0.1, "scratch", 0), None)


def test_a_file_may_be_given_for_each_pre_training_seed(make_study, training, tmp_path):
    for seed in (0, 1):
        (tmp_path / f"merged{seed}.pth").write_bytes(b"weights")
    study = make_study(
        seeds=(0,),
        pretrain_seeds=(0, 1),
        pretrained={"lidar:merged": tmp_path / "merged{seed}.pth"},
        starts=("merged",),
    )
    study.run(launcher=training)
    files = [o.rpartition("/")[2] for command in training.commands for o in command if "init_cfg.checkpoint" in o]
    assert files == ["merged0.pth", "merged1.pth"]


def test_a_frozen_model_is_frozen_with_every_start_and_is_its_own_reference(make_study, training):
    make_study(frozen=("lidar",), seeds=(0,)).run(launcher=training)
    assert training.names == ["pretraining", "lidar_0.1_scratch_seed0", "lidar_0.1_pretrained_seed0"]
    assert ["model.freeze_encoder=True" in command for command in training.commands] == [False, True, True]


def test_models_may_have_shares_of_their_own_and_starts_cells(make_study, training, tmp_path):
    recipe = tmp_path / "pretraining.py"
    make_study(
        models=("lidar", "camera"),
        pretrain_configs={"lidar": recipe, "camera": recipe, "lidar:other": recipe},
        starts=("pretrained", "other"),
        own_fractions={"lidar": (0.5, 1.0)},
        cells={"other": (("lidar", 1.0),)},
        references=(),
        seeds=(0,),
    ).run(launcher=training)
    assert training.names[2:] == [
        *(f"lidar_0.5_{init}_seed0" for init in ("scratch", "pretrained")),
        *(f"lidar_1_{init}_seed0" for init in ("scratch", "pretrained", "other")),
        *(f"camera_0.1_{init}_seed0" for init in ("scratch", "pretrained")),
    ]
