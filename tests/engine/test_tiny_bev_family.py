"""The tiny recipes of BEVDet, BEVDepth and BEVFormer pre-train, train, are scored and resume, through the tools."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VOXELS, PILLARS = (20, 20, 4), (20, 20, 1)
# What each lift pre-trains, and the detectors that start from it.
FAMILY = {
    "bevdet": ("ponderv2_camera_bevdet", {"center_camera_bevdet": VOXELS}),
    "bevdepth": ("ponderv2_camera_bevdepth", {"center_camera_bevdepth": VOXELS}),
    "bevformer": (
        "ponderv2_camera_bevformer",
        {"center_camera_bevformer": VOXELS, "bevformer_camera": PILLARS, "bevformer_temporal_camera": PILLARS},
    ),
    "bevformer with history": ("ponderv2_camera_bevformer_temporal", {}),
}


def _run(tool: str, *arguments: object, options: list[str]) -> str:
    command = [sys.executable, f"tools/{tool}.py", *map(str, arguments), "--cfg-options", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def _scores(work_dir: Path, name: str, pattern: str = "vis_data/scalars.json") -> list[float]:
    files = sorted(work_dir.glob(f"*/{pattern}"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def _sizes(recipe: str, size: tuple[int, int, int]) -> list[str]:
    text = str(size).replace(" ", "")
    keys = ["encoder.grid"]
    if "bevformer" in recipe:
        keys.append("encoder.lift")
    if recipe.startswith("center"):
        keys.append("head.grid")
    return [f"model.{key}.size={text}" for key in keys]


def _trains_is_scored_and_resumes(recipe: str, streets: Path, work_dir: Path, options: list[str], score: str) -> None:
    """Two steps and a validation, one step more from the checkpoint, and a test by itself."""
    options = [*options, "default_hooks.logger.interval=1", "default_hooks.checkpoint.interval=1"]
    common = [f"configs/tiny/{recipe}_synthetic.py", "--data-root", streets, "--work-dir"]
    for steps in (2, 3):
        until = [f"train_cfg.max_iters={steps}", f"train_cfg.val_interval={steps}"]
        shown = _run("train", *common, work_dir, *["--resume"] * (steps == 3), options=[*options, *until])
        assert ("resumed epoch: 0, iter: 2" in shown) == (steps == 3)
    validated = _scores(work_dir, score)
    assert len(validated) == 2
    tested = work_dir.parent / f"{work_dir.name}_test"
    _run("test", common[0], work_dir, "--data-root", streets, "--work-dir", tested, options=options)
    assert _scores(tested, score, "*.json") == pytest.approx(validated[1:], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("lift", FAMILY)
def test_a_lift_pre_trains_and_its_detectors_train_are_scored_and_resume(lift, streets, tmp_path):
    pretraining, detectors = FAMILY[lift]
    small = _sizes(pretraining, VOXELS)
    _trains_is_scored_and_resumes(pretraining, streets, tmp_path / "pretrain", small, "render/abs_rel")
    encoder = tmp_path / "pretrain" / "encoder.safetensors"
    for recipe, size in detectors.items():
        start = f"model.init_cfg.checkpoint={encoder}"
        options = [*_sizes(recipe, size), start]
        _trains_is_scored_and_resumes(recipe, streets, tmp_path / recipe, options, "nuscenes/mAP")
