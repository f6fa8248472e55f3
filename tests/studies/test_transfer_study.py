"""The transfer study with factory trainings."""

import pickle
from pathlib import Path

import pytest
from mmengine.config import Config

from studies.runs import StudyError
from studies.scored_frames import scored_in_training
from studies.study_run import Run
from studies.transfer_study import TransferStudy
from studies.validation_log import validations
from tests.factories.training_runs import DETECTOR, RUNS, write_validation


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
        ({"pretrained": {"lidar": Path("x{seed}")}}, "--pretrained lidar=x{seed}: .* expected --pretrain-seeds"),
        ({"fractions": (0.3333333, 0.33333334)}, "0.3333333 and 0.33333334 would both be lidar_0.333333_scratch_seed0"),
        (
            {"of_start": {"pretrained": ("train_dataloader.dataset.dataset.ann_file=val.pkl",)}},
            "--cfg-options pretrained:train_dataloader.* the same data, scores and random numbers",
        ),
        (
            {
                "starts": ("pretrained", "slow"),
                "same_encoder": {"slow": "pretrained"},
                "of_pretraining": {"slow": ("a=1",)},
            },
            "--pretrain-options slow:.* expected one of pretrained",
        ),
        (
            {"pretrained": {"lidar": Path("x")}, "of_pretraining": {"pretrained": ("a=1",)}},
            "--pretrain-options pretrained:.* expected one of none",
        ),
        (
            {
                "starts": ("pretrained", "slow"),
                "same_encoder": {"slow": "pretrained"},
                "pretrain_configs": {"lidar": Path("a.py"), "lidar:slow": Path("b.py")},
            },
            r"--pretrain-config lidar:slow=b\.py: no start has its",
        ),
        ({"frozen": ("lidar",), "encoder_rates": {"pretrained": 0.1}}, "--encoder-rate pretrained: no encoder is"),
        ({"pretrained": {"lidar:other": Path("x")}}, "--pretrained lidar:other=x: no start has its encoder of it"),
        (
            {
                "models": ("camera", "lidar"),
                "pretrained": {"camera": Path("g.safetensors")},
                "pretrain_configs": {"lidar": Path("x/camera.py")},
            },
            r"lidar=x/camera\.py: g\.safetensors would be called camera as well",
        ),
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
    with pytest.raises(StudyError, match="would be called pretraining as well"):
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
    assert study.changes_of("slow") == ["model.a=1", "encoder rate 0.2"]
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


def test_frames_that_are_scored_are_not_trained_on(make_study, tmp_path):
    for name, tokens in (("train.pkl", "abc"), ("val.pkl", "de"), ("more.pkl", "cd")):
        frames = [{"token": token} for token in tokens]
        (tmp_path / name).write_bytes(pickle.dumps({"metainfo": {}, "data_list": frames}))
    names = make_study().encoder_names()
    assert scored_in_training(make_study(), names) == []
    key = "train_dataloader.dataset.dataset.ann_file"
    assert scored_in_training(make_study(options=(f"{key}=more.pkl",)), names) == [
        f"{tmp_path / 'detector.py'} trains on more.pkl, which has 1 of the 2 key frames that lidar is scored on; "
        "expected none of them"
    ]
    (line,) = scored_in_training(make_study(of_pretraining={"pretrained": (f"{key}=val.pkl",)}), names)
    assert line.startswith("the pre-training pretraining trains on val.pkl, which has 2 of the 2 key frames")
