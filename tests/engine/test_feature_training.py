"""Pre-training with features by the tools, in both modes: checkpoints, scores, the encoder, and the shared cache."""

import json

import pytest
from safetensors.torch import load_file

import ponderv2
from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from tests.factories.image_teachers import random_street_teacher
from tests.factories.tool_scripts import call_tool

SMALL = ["model.encoder.grid.size=(36,36,4)", "model.encoder.voxel_size=(0.5,0.5,0.5)"]
STEPS = ["train_cfg.max_iters=2", "train_cfg.val_interval=2", "default_hooks.checkpoint.interval=2"]
ALONE = ["train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False"]
CHANNELS = ["model.image_branch.channels=8", "model.head.feature.channels=8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


@pytest.mark.parametrize("mode", [pytest.param("consensus", marks=pytest.mark.slow), "distil"])
def test_a_recipe_trains_validates_features_and_exports_the_plain_encoder(mode, repository, streets, folder, capsys):
    recipe, work = repository / "configs" / "tiny" / f"ponderv2_lidar_unet_{mode}_synthetic.py", folder / mode
    teacher = random_street_teacher(folder)
    branch = [f"model.image_branch.teacher.path={teacher}", f"model.image_branch.cache.folder={folder / 'cache'}"]
    hooks = ["custom_hooks.0.interval=9", "custom_hooks.2.num_frames=2"]
    options = [*SMALL, *STEPS, *ALONE, *CHANNELS, *branch, *hooks]
    arguments = [recipe, "--data-root", streets, "--work-dir", work, "--cfg-options", *options]
    code, said = call_tool(repository, "train", arguments, capsys)
    assert code == 0, said
    weights = load_checkpoint_file(work / "iter_2.pth")["state_dict"]
    assert all(value.isfinite().all() for value in weights.values() if value.is_floating_point())
    assert weights["image_branch.reduction.components"].abs().sum() > 0
    of_branch = {name.split(".")[1] for name in weights if name.startswith("image_branch.")}
    trained = {"student", "average"} if mode == "consensus" else set()
    assert of_branch == {"reduction", "teacher_fingerprint"} | trained
    assert (work / "feature_reduction.safetensors").is_file()
    lines = [json.loads(line) for f in work.glob("*/vis_data/scalars.json") for line in f.read_text().splitlines()]
    (scores,) = [line for line in lines if "render/feature_cosine" in line]
    assert -1 <= scores["render/feature_cosine"] <= 1
    assert scores["render/guess_feature_cosine"] > 0
    frozen = scores["render/frozen_view_cosine"]
    assert scores["render/view_cosine"] == pytest.approx(frozen, abs=0.2)
    assert (scores["render/view_cosine"] == frozen) == (mode == "distil")
    ponderv2.load_encoder(work / "encoder.safetensors")
    exported = load_file(work / "encoder.safetensors")
    assert exported.keys() == {name.removeprefix("encoder.") for name in weights if name.startswith("encoder.")}
    # Equal data and teacher have an equal reduction, so runs share what is cached.
    cached = [path.stem.rsplit("_", 2)[1:] for path in (folder / "cache").glob("*/*.npz")]
    assert len(cached) >= 2
    assert len({tuple(names) for names in cached}) == 1
