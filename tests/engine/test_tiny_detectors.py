"""Every tiny detector trains, is scored officially and resumes, through the tools, on synthetic streets."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ponderv2.checkpoints import export_encoder, write_checkpoint
from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.engine import load_config
from ponderv2.registry import MODELS

ROOT = Path(__file__).parents[2]
COARSE = ["size=(36,36,4)", "voxel_size=(0.375,0.375,0.25)"]
OPTIONS = {
    "camera": [f"model.encoder.grid.{COARSE[0]}"],
    "lidar": [f"model.encoder.grid.{COARSE[0]}", f"model.encoder.{COARSE[1]}"],
    "fusion": [
        f"model.encoder.camera.grid.{COARSE[0]}",
        f"model.encoder.lidar.grid.{COARSE[0]}",
        f"model.encoder.lidar.{COARSE[1]}",
    ],
}
DETECTORS = {f"uvtr_{modality}": (modality, []) for modality in OPTIONS} | {
    "center_camera": ("camera", [f"model.head.grid.{COARSE[0]}"])
}
"""The modality of each detector that is run, and the options of its head."""


def _run(tool: str, *arguments: object, options: list[str]) -> str:
    command = [sys.executable, f"tools/{tool}.py", *map(str, arguments), "--cfg-options", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def _scores(work_dir: Path) -> list[dict]:
    files = sorted(work_dir.glob("*/vis_data/scalars.json"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [line for line in lines if "nuscenes/NDS" in line]


def _encoder_of(modality: str, path: Path) -> None:
    """An exported encoder of the pre-training recipe, at test size."""
    options = dict(option.split("=") for option in OPTIONS[modality])
    config = load_config(ROOT / f"configs/tiny/ponderv2_{modality}_synthetic.py")
    config.merge_from_dict({key: ast.literal_eval(text) for key, text in options.items()})
    model = config.model
    export_encoder(MODELS.build(model).encoder, path, model.encoder, model.data_preprocessor)


@pytest.mark.slow
def test_the_warm_up_of_the_head_freezes_the_encoder_also_when_resumed(streets, tmp_path):
    """Interrupted at the end of the warm-up; the resumed run trains the encoder from its first iteration on."""
    encoder, converted, work_dir = tmp_path / "encoder.safetensors", tmp_path / "converted.pth", tmp_path / "work"
    _encoder_of("lidar", encoder)
    start, placement = (
        {f"encoder.{k}": v for k, v in load_file(encoder).items()},
        "model.encoder.grid.placement=published",
    )
    write_checkpoint(converted, start, {"options": [placement]})
    recipe = "configs/tiny/uvtr_lidar_synthetic_head_first.py"
    common = [recipe, "--data-root", streets, "--work-dir", work_dir]
    options = [
        *OPTIONS["lidar"],
        *("default_hooks.logger.interval=1", "default_hooks.checkpoint.interval=1"),
        *("custom_hooks.0.after=2", "train_cfg.val_interval=2", f"model.init_cfg.checkpoint={converted}", placement),
    ]
    weights = {}
    for steps in (2, 3):
        resume = ["--resume"] if steps == 3 else []
        shown = _run("train", *common, *resume, options=[*options, f"train_cfg.max_iters={steps}"])
        assert ("the encoder is trained from iteration 3 on" in shown) == (steps == 3)
        assert shown.count("Config:\n") == 1
        saved = load_checkpoint_file(work_dir / f"iter_{steps}.pth")
        weights[steps] = saved["state_dict"]
        assert saved["meta"]["options"] == [placement]
    assert all(torch.equal(v, weights[2][k]) for k, v in start.items())
    changed = [k for k, v in start.items() if not torch.equal(v, weights[3][k])]
    assert len(changed) > len(start) / 2
    # The resumed run repeats the validation that comes after its checkpoint.
    assert len(_scores(work_dir)) == 3


# The README's commands train UVTR's with cameras in the fast tests, too.
@pytest.mark.slow
@pytest.mark.parametrize("detector", DETECTORS)
def test_a_tiny_detector_starts_pretrained_trains_is_scored_and_resumes(detector, streets, tmp_path):
    modality, head = DETECTORS[detector]
    small = [*OPTIONS[modality], *head]
    encoder, work_dir = tmp_path / "encoder.safetensors", tmp_path / "work"
    _encoder_of(modality, encoder)
    options = [*small, "default_hooks.logger.interval=1", "default_hooks.checkpoint.interval=1"]
    steps = ["train_cfg.max_iters={0}", "train_cfg.val_interval={0}"]
    common = [f"configs/tiny/{detector}_synthetic.py", "--data-root", streets, "--work-dir", work_dir]
    shown = _run(
        "train",
        *common,
        options=[*options, *(s.format(2) for s in steps), f"model.init_cfg.checkpoint={encoder}"],
    )
    assert f"encoder from {encoder}\n" in shown
    (scored,) = _scores(work_dir)
    assert 0 <= scored["nuscenes/mAP"] <= 1
    # The encoder's file may be gone by then: the checkpoint has all weights.
    encoder.unlink()
    shown = _run("train", *common, "--resume", options=[*options, *(s.format(3) for s in steps), "model.init_cfg=None"])
    assert "resumed epoch: 0, iter: 2" in shown
    assert len(_scores(work_dir)) == 2
    shown = _run("test", common[0], work_dir, *common[1:3], "--work-dir", tmp_path / "test", options=small)
    assert "nuscenes/NDS" in shown
