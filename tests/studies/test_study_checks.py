"""What would stop a study is found before its first step, all of it at once."""

import json
import shutil
from pathlib import Path

import pytest

from ponderv2.checkpoints import export_encoder
from ponderv2.datasets import choose_fraction
from ponderv2.engine import load_config, parse_options
from ponderv2.registry import MODELS
from studies.kept_points import frames_of_run
from studies.label_excess import Labels, label_excess
from studies.runs import StudyError
from studies.segmentation_study import SegmentationStudy
from studies.study_checks import check_study
from studies.study_run import Run
from studies.transfer_study import TransferStudy

SMALL = ("model.encoder.grid.size=(36,36,4)", "model.encoder.voxel_size=(0.375,0.375,0.25)")
PASTING = """
from mmengine.config import read_base
with read_base():
    from .uvtr_lidar_synthetic import *
    from .._base_.nuscenes import sample_objects
pasting = dict(train_dataloader.dataset, pipeline=[load_sweep, load_boxes, sample_objects, pack])
train_dataloader = dict(train_dataloader, dataset=pasting)
"""


@pytest.fixture(scope="session")
def encoder(tmp_path_factory) -> Path:
    """An encoder of the LiDAR detector, with cells of 3 m."""
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    recipe = Path(__file__).parents[2] / "configs" / "tiny" / "uvtr_lidar_synthetic.py"
    config = load_config(recipe, options=parse_options(SMALL))
    model = MODELS.build(config.model)
    export_encoder(model.encoder, path, config.model.encoder, config.model.data_preprocessor)
    return path


@pytest.fixture
def make_study(repository, streets, tmp_path, encoder):
    """A study of LiDAR that can be run; arguments change it."""
    tiny = repository / "configs" / "tiny"

    def make(**changes) -> TransferStudy:
        arguments = {
            "train_tool": repository / "tools" / "train.py",
            "data_root": streets,
            "out": tmp_path / "out",
            "models": ("lidar",),
            "fractions": (0.5, 1.0),
            "seeds": (0,),
            "configs": {m: tiny / f"uvtr_{m}_synthetic_head_first.py" for m in ("camera", "lidar")},
            "pretrained": {"lidar": encoder},
            "pretrain_configs": {m: tiny / f"ponderv2_{m}_synthetic.py" for m in ("camera", "lidar")},
            "options": SMALL,
            "pretrain_options": SMALL,
        }
        return TransferStudy(**arguments | changes)

    return make


def _problems(study: TransferStudy) -> list[str]:
    with pytest.raises(StudyError) as found:
        check_study(study)
    before = "the study cannot be run, nothing was started:"
    assert str(found.value).startswith(before)
    assert not study.out.exists()
    # One problem stands in the line itself, several below it.
    return [line.strip() for line in str(found.value).removeprefix(before).strip().splitlines()]


@pytest.fixture
def partial_streets(streets, tmp_path):
    """Makes a copy of the streets, of links, without a file or folder."""

    def without(name: str) -> Path:
        root = tmp_path / "streets"
        root.mkdir()
        for path in streets.iterdir():
            if path.name == name.split("/")[0]:
                if "/" in name:
                    shutil.copytree(path, root / path.name)
                    (root / name).unlink()
            else:
                (root / path.name).symlink_to(path)
        return root

    return without


def test_a_study_that_can_be_run_passes(make_study):
    check_study(make_study())
    check_study(make_study(pretrained={}, pretrain_seeds=(0, 1), encoder_rates={"": 0.2}))
    assert not make_study().out.exists()


def test_a_recipe_that_takes_parts_of_a_pre_training_passes_and_one_that_they_do_not_fit_does_not(
    make_study, repository
):
    tiny = repository / "configs" / "tiny"
    recipes = {
        "models": ("camera",),
        "pretrained": {},
        "configs": {"camera": tiny / "bevformer_camera_synthetic.py"},
        "pretrain_configs": {"camera": tiny / "ponderv2_camera_bevformer_synthetic.py"},
        "options": (),
    }
    check_study(make_study(**recipes, pretrain_options=()))
    deeper = "model.encoder.img_backbone.depths=(1,1,3)"
    (line,) = _problems(make_study(**recipes, pretrain_options=(deeper,)))
    assert "ponderv2_camera_bevformer_synthetic.py does not cover that of" in line
    assert "img_backbone" in line


@pytest.fixture
def make_segmentation_study(repository, streets, tmp_path):
    """A segmentation study that makes two encoders first and can be run; arguments change it."""
    tiny = repository / "configs" / "tiny"
    small = ("model.encoder.grid.size=(36,36,4)", "model.encoder.voxel_size=(0.75,0.75,0.5)")

    def make(**changes) -> SegmentationStudy:
        arguments = {
            "train_tool": repository / "tools" / "train.py",
            "data_root": streets,
            "out": tmp_path / "out",
            "protocols": ("linear_probe", "finetune"),
            "arms": ("pretrained", "other"),
            "fractions": (0.5,),
            "seeds": (0,),
            "configs": {
                "linear_probe": tiny / "lidarseg_unet_synthetic_linear_probe.py",
                "finetune": tiny / "lidarseg_unet_synthetic.py",
            },
            "pretrain_configs": dict.fromkeys(("pretrained", "other"), tiny / "ponderv2_lidar_unet_synthetic.py"),
            "options": small,
            "pretrain_options": small,
        }
        return SegmentationStudy(**arguments | changes)

    return make


def test_a_segmentation_study_that_can_be_run_passes(make_segmentation_study):
    check_study(make_segmentation_study())


def test_segmentation_needs_labels_frames_and_an_encoder_that_fits(make_segmentation_study, partial_streets):
    deeper = {"other": ("model.encoder.pts_middle_encoder.blocks=(1,1,1,1,1,1,1,2)",)}
    changes = {"data_root": partial_streets("lidarseg"), "fractions": (0.1, 1.0), "of_pretraining": deeper}
    lines = _problems(make_segmentation_study(protocols=("finetune",), **changes))
    assert [line for line in lines if "ponderv2_lidar_unet_synthetic.py does not cover that of" in line], lines
    assert [line for line in lines if "lidarseg" in line and "does not exist" in line], lines
    study = make_segmentation_study(protocols=("finetune",), arms=("pretrained",), fractions=(0.1, 1.0))
    (line,) = _problems(study)
    assert line.startswith(f"--fractions 0.1 of the 2 training frames of {study.data_root} are none")


def test_a_pre_training_that_sees_more_labels_than_its_runs_is_refused(make_segmentation_study, repository):
    recipe = repository / "configs" / "tiny" / "ponderv2_lidar_unet_semantic_synthetic.py"
    changes = {"protocols": ("finetune",), "arms": ("semantic",), "pretrain_configs": {"semantic": recipe}}
    every = {"semantic": ("train_dataloader.dataset.fraction=1.0",)}
    (line,) = _problems(make_segmentation_study(of_pretraining=every, fractions=(0.5, 1.0), **changes))
    assert (
        f"{recipe}: the pre-training semantic sees labels of 1 key frames that finetune with 0.5 of the labels" in line
    )
    assert "seed 0 does not have; try it with its own share alone, --cells semantic=finetune:FRACTION" in line
    # Of the two frames, some other seed takes the other one.
    own = {"semantic": ("train_dataloader.dataset.fraction=0.5", "train_dataloader.dataset.fraction_seed={seed}")}
    tokens, _ = frames_of_run(make_segmentation_study(), Run("finetune", 1.0, "scratch", 0))
    frames = [{"token": token} for token in tokens]
    chosen = [choose_fraction(frames, 0.5, seed=seed) for seed in range(30)]
    other = next(seed for seed in range(30) if chosen[seed] != chosen[0])
    for seed, excess in ((0, False), (other, True)):
        study = make_segmentation_study(of_pretraining=own, pretrain_seeds=(seed,), **changes)
        assert (label_excess(study, f"semantic_seed{seed}", {}) is not None) == excess
    cells = {"semantic": (("finetune", 1.0),)}
    study = make_segmentation_study(of_pretraining=every, fractions=(0.5, 1.0), cells=cells, **changes)
    assert label_excess(study, "semantic", {}) is None


def test_where_all_seeds_share_pre_trainings_another_study_is_named(make_study, repository):
    tiny = repository / "configs" / "tiny"
    recipe = tiny / "ponderv2_lidar_unet_semantic_synthetic.py"
    study = make_study(
        models=("lidarseg",),
        configs={"lidarseg": tiny / "lidarseg_unet_synthetic.py"},
        pretrained={},
        pretrain_configs={"lidarseg": recipe},
        options=(),
        pretrain_options=("train_dataloader.dataset.fraction=1.0",),
    )
    said = label_excess(study, recipe.stem, {})
    assert "--cells pretrained=lidarseg:FRACTION, and compare it with tools/segmentation_study.py" in said


def test_weak_labels_lie_inside_those_of_larger_shares_and_the_same_seed():
    frames, whole = frozenset("abc"), Labels(frozenset("abc"))
    assert Labels(frames, (0.1, 0)).beyond(whole) == 0
    assert Labels(frozenset("abcd"), (0.1, 0)).beyond(whole) == 1
    assert whole.beyond(Labels(frames, (0.1, 0))) == 3
    assert [Labels(frames, share).beyond(Labels(frames, (0.1, 0))) for share in ((0.1, 0), (0.2, 0), (0.1, 1))] == [
        0,
        3,
        3,
    ]


def test_weak_labels_have_no_classifier_of_points(make_segmentation_study):
    run = Run("finetune", 0.5, "scratch", 0)
    assert [len(tokens) for tokens in frames_of_run(make_segmentation_study(), run)] == [1, 2]
    weak = {"finetune": ("train_dataloader.dataset.fraction_by=points",)}
    with pytest.raises(
        StudyError, match=r"lidarseg_unet_synthetic\.py is trained with labels of a share of the points"
    ):
        frames_of_run(make_segmentation_study(of_recipe=weak), run)


def test_all_problems_are_listed_together_a_line_each(make_study, partial_streets, tmp_path):
    for name in ("file", "pretraining.py"):
        (tmp_path / name).write_text("")
    missing, recipe = tmp_path / "nowhere.safetensors", tmp_path / "pretrainig.py"
    study = make_study(
        models=("lidar", "camera"),
        data_root=partial_streets("v1.0-mini/sample_annotation.json"),
        out=tmp_path / "file" / "out",
        pretrained={"lidar": missing},
        pretrain_configs={"camera": recipe},
        options=(*SMALL, "train_dataloader.dataset.fraction_by=drives"),
    )
    lines = _problems(study)
    for number, words in enumerate(
        [
            f"--out {study.out} cannot be written: Not a directory",
            "train_dataloader: fraction_by: expected 'frames' or 'scenes', got 'drives'",
            "v1.0-mini/sample_annotation.json is missing: the official score needs all tables",
            f"{missing} does not exist",
            f"recipe {recipe} does not exist; did you mean {tmp_path / 'pretraining.py'}?",
        ]
    ):
        assert any(words in line for line in lines), (number, lines)
    assert len(lines) == len(set(lines))


def test_a_pre_training_is_checked_with_what_it_hands_on(make_study):
    deeper = "model.encoder.pts_middle_encoder.blocks=2"
    lines = _problems(make_study(pretrained={}, pretrain_options=(*SMALL, deeper, "custom_hooks=[]"), gpus=2))
    for words in (
        "ponderv2_lidar_synthetic.py: custom_hooks has no EncoderExportHook",
        "ponderv2_lidar_synthetic.py does not cover that of",
        "UnfreezeEncoderHook works with one process, --gpus is 2",
    ):
        assert [line for line in lines if words in line], (words, lines)
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("option", "words"), [("optim_wrapper.optimizer.lrr=1", "lrr"), ("train_cfg.max_itres=5", "max_itres")]
)
def test_what_every_training_builds_before_its_first_step_is_built(make_study, option, words):
    lines = _problems(make_study(pretrained={}, options=(*SMALL, option), pretrain_options=(*SMALL, option)))
    for recipe in ("uvtr_lidar_synthetic_head_first.py", "ponderv2_lidar_synthetic.py"):
        (line,) = [line for line in lines if f"{recipe} cannot be built" in line]
        assert words in line
    assert len(lines) == 2


def test_what_only_the_baseline_builds_is_built(make_study, repository, tmp_path):
    shutil.copytree(repository / "configs", tmp_path / "configs")
    recipe = tmp_path / "configs" / "tiny" / "other_baseline.py"
    recipe.write_text(
        "from mmengine.config import read_base\nwith read_base():\n    from .uvtr_lidar_synthetic import *\n"
        'scratch = {"model.init_cfg": None, "optim_wrapper.optimizer.lrr": 1}\n'
    )
    (line,) = _problems(make_study(configs={"lidar": recipe}))
    assert "lrr" in line


def test_an_encoder_that_does_not_cover_the_detectors_is_named(make_study, encoder):
    (line,) = _problems(make_study(options=(*SMALL, "model.encoder.pts_middle_encoder.blocks=2")))
    assert f"{encoder} does not cover this model's encoder" in line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data_root": Path("nowhere")}, "--data-root nowhere is not a folder"),
        ({"options": ("lr",)}, "expected key=value, got 'lr'"),
        ({"options": ("model.init_cfg=None",)}, "model.init_cfg is None, expected dict(checkpoint=...)"),
        ({"options": (*SMALL, "model.head.type=Nothing")}, "model: KeyError: 'Nothing is not in"),
        ({"options": (*SMALL, "val_evaluator.type=RenderMetric")}, "['RenderMetric'], expected PonderNuScenesMetric"),
        (
            {"options": (*SMALL, "train_dataloader.dataset.ann_file=no.pkl"), "train_tool": Path("nowhere.py")},
            "has no no.pkl; ",
        ),
        ({"dataset_key": "train_dataloader.nothing"}, "--dataset-key train_dataloader.nothing: "),
    ],
)
def test_what_would_stop_a_training_is_one_line(make_study, changes, words):
    lines = _problems(make_study(**changes))
    assert [line for line in lines if words in line], lines
    assert ("nowhere.py does not exist" in lines) == ("train_tool" in changes)


def test_a_missing_picture_or_point_file_is_found(make_study, partial_streets):
    lines = _problems(make_study(data_root=partial_streets("samples")))
    assert [line for line in lines if "LIDAR_TOP" in line and "does not exist" in line], lines


def test_a_recipe_that_pastes_needs_its_database(make_study, repository, tmp_path):
    shutil.copytree(repository / "configs", tmp_path / "configs")
    recipe = tmp_path / "configs" / "tiny" / "pasting.py"
    recipe.write_text(PASTING)
    lines = _problems(make_study(configs={"lidar": recipe}))
    assert [line for line in lines if "holds no finished ground-truth database" in line], lines


def test_a_baseline_that_starts_from_a_missing_file_is_found(make_study, repository, tmp_path):
    shutil.copytree(repository / "configs", tmp_path / "configs")
    recipe = tmp_path / "configs" / "tiny" / "other_baseline.py"
    recipe.write_text(
        "from mmengine.config import read_base\nwith read_base():\n    from .uvtr_lidar_synthetic import *\n"
        'scratch = {"model.init_cfg.checkpoint": "nowhere.pth"}\n'
    )
    (line,) = _problems(make_study(configs={"lidar": recipe}))
    assert "nowhere.pth does not exist" in line


def test_a_recipe_that_does_not_load_is_one_line(make_study, tmp_path):
    recipe = tmp_path / "broken.py"
    recipe.write_text("model = dict(\n")
    (line,) = _problems(make_study(configs={"lidar": recipe}))
    assert line.startswith(f"recipe {recipe} cannot be read: '(' was never closed in line 1")


@pytest.mark.parametrize("given", [True, False])
def test_runs_of_other_settings_are_found_before_a_pre_training_starts(make_study, encoder, given):
    study = make_study(pretrained={"lidar": encoder} if given else {})
    job = study.training(Run("lidar", 1.0, "frozen", 0), encoder)
    job.folder.mkdir(parents=True)
    (job.folder / "result.json").write_text('{"settings": {"recipe": "another"}, "result": {}}')
    with pytest.raises(StudyError, match="frozen_seed0 was made with other settings"):
        check_study(study)


def test_a_finished_study_is_not_checked_again(make_study, encoder, partial_streets):
    study = make_study()
    for run in study.runs():
        job = study.training(run, encoder)
        job.folder.mkdir(parents=True)
        (job.folder / "result.json").write_text(json.dumps({"settings": job.settings, "result": {}}))
    check_study(make_study(data_root=partial_streets("samples")))
