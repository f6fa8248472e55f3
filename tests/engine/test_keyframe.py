"""The tiny recipe on the real key frame."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ponderv2.engine import load_config
from ponderv2.registry import DATASETS, MODELS

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "configs" / "tiny" / "ponderv2_camera_keyframe.py"


@pytest.mark.real
def test_the_tiny_recipe_takes_a_step_on_the_real_key_frame(keyframe_root):
    config = load_config(RECIPE, keyframe_root)
    model = MODELS.build(config.model).train()
    dataset = DATASETS.build(config.train_dataloader.dataset)
    data = model.data_preprocessor({k: _listed(v) for k, v in dataset[0].items()})
    rays = data["inputs"].rays
    assert rays.valid.all()
    (sampling,) = [step for step in config.train_dataloader.dataset.pipeline if "lidar_share" in step]
    assert rays.has_depth.float().mean().item() == pytest.approx(sampling.lidar_share, abs=0.01)
    losses = model(**data, mode="loss")
    total = sum(value for name, value in losses.items() if name.startswith("loss_"))
    total.backward()
    assert 0.5 < total.item() < 20
    assert all(p.grad is not None for p in model.parameters())


def _listed(value):
    return {k: [v] for k, v in value.items()} if isinstance(value, dict) else [value]


@pytest.mark.slow
@pytest.mark.real
def test_the_tiny_recipe_overfits_the_real_key_frame(keyframe_root, tmp_path):
    """Over rays that were not trained on; about 13 minutes on 2 cores."""
    common = ["--data-root", str(keyframe_root)]
    work, out = str(tmp_path / "work"), str(tmp_path / "out")
    subprocess.run([sys.executable, "tools/train.py", str(RECIPE), *common, "--work-dir", work], cwd=ROOT, check=True)
    render = [sys.executable, "tools/render.py", str(RECIPE), work, *common, "--out", out, "--stride", "4"]
    subprocess.run(render, cwd=ROOT, check=True)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    print(metrics)
    assert metrics["psnr"] >= 22
    assert metrics["abs_rel"] <= 0.08
