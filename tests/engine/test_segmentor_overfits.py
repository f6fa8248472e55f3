"""A tiny segmentor learns the points of four synthetic sweeps by heart; minutes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEPS = 400


@pytest.mark.slow
def test_a_tiny_segmentor_overfits_four_sweeps_from_scratch(tmp_path):
    data, turn = tmp_path / "set", "train_dataloader.dataset.pipeline.2"
    options = [
        # Scored are the sweeps that are trained on, and nothing moves them.
        "train_dataloader.dataset.ann_file=nuscenes_infos_val.pkl",
        *(f"{turn}.rotation=(0.0,0.0)", f"{turn}.scale=(1.0,1.0)", f"{turn}.translation_std=(0.0,0.0,0.0)"),
        *(f"{turn}.flip_x=0.0", f"{turn}.flip_y=0.0"),
        *(f"train_cfg.max_iters={STEPS}", f"train_cfg.val_interval={STEPS}", f"param_scheduler.0.total_steps={STEPS}"),
    ]
    recipe = "configs/tiny/lidarseg_unet_synthetic.py"
    size = ["--scenes", "3", "--keyframes", "2", "--image-size", "96x54"]
    for command in (
        ["tools/make_synthetic_nuscenes.py", "--out", data, *size],
        ["tools/create_data.py", "--root", data, "--version", "v1.0-mini", "--out", data, "--no-paste-database"],
        [
            *("tools/train.py", recipe, "--data-root", data, "--work-dir", tmp_path / "work", "--scratch"),
            *("--cfg-options", *options),
        ],
    ):
        subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, check=True)
    lines = [json.loads(line) for f in tmp_path.glob("work/*/vis_data/scalars.json") for line in f.open()]
    (scores,) = [line for line in lines if "lidarseg/mIoU" in line]
    print(scores)
    assert scores["lidarseg/mIoU"] >= 0.8
