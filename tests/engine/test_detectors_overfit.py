"""A tiny detector of each kind learns four synthetic key frames by heart; minutes each.

What they reach: docs/benchmarks.md, "Four frames by heart".
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEPS = {"uvtr_camera": 400, "uvtr_lidar": 300, "uvtr_fusion": 300, "center_camera": 300, "center_lidar": 120}
STEPS |= {"bevformer_camera": 800, "bevformer_temporal_camera": 800}
STEPS |= {"center_camera_bevdet": 200, "center_camera_bevdepth": 200, "center_camera_bevformer": 300}


@pytest.fixture(scope="module")
def four_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two validation scenes of two key frames each, with boxes of all ten classes; made as a user would."""
    root = tmp_path_factory.mktemp("four_frames") / "set"
    size = ["--scenes", "3", "--keyframes", "2", "--image-size", "400x225"]
    for command in (
        ["tools/make_synthetic_nuscenes.py", "--out", str(root), *size],
        ["tools/create_data.py", "--root", str(root), "--version", "v1.0-mini", "--out", str(root)],
    ):
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("detector", STEPS)
def test_a_tiny_detector_overfits_four_key_frames_from_scratch(detector, four_frames, tmp_path):
    steps = STEPS[detector]
    # The place of what turns the scene: points are loaded before it, where there are any beside the images.
    still = 3 if detector in ("uvtr_fusion", "center_camera_bevdepth") else 2
    options = [
        "model.init_cfg=None",
        # Scored are the frames that are trained on, and nothing moves them.
        "train_dataloader.dataset.ann_file=nuscenes_infos_val.pkl",
        f"train_dataloader.dataset.pipeline.{still}.rotation=(0.0,0.0)",
        f"train_dataloader.dataset.pipeline.{still}.scale=(1.0,1.0)",
        f"train_cfg.max_iters={steps}",
        f"train_cfg.val_interval={steps}",
        f"param_scheduler.0.total_steps={steps}",
    ]
    recipe = f"configs/tiny/{detector}_synthetic.py"
    common = ["--data-root", str(four_frames), "--work-dir", str(tmp_path), "--cfg-options", *options]
    subprocess.run([sys.executable, "tools/train.py", recipe, *common], cwd=ROOT, check=True)
    lines = [json.loads(line) for f in tmp_path.glob("*/vis_data/scalars.json") for line in f.read_text().splitlines()]
    (scores,) = [line for line in lines if "nuscenes/mAP" in line]
    print(scores)
    assert scores["nuscenes/mAP"] >= 0.5
