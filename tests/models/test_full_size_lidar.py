"""The published LiDAR models at full size: one training step on the real key frame fits into memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "configs" / "pretrain").glob("ponderv2_lidar_*.py"))

STEP = """
import json, resource, sys, time
from pathlib import Path
import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from ponderv2.engine import load_config
from ponderv2.registry import DATASETS, MODELS

recipe, root = sys.argv[1:]
options = {"train_dataloader.dataset.ann_file": "nuscenes_infos_keyframe.pkl"}
config = load_config(Path(recipe), Path(root), options)
torch.manual_seed(0)
model = MODELS.build(config.model)
model.init_weights()
model.train()
data = pseudo_collate([DATASETS.build(config.train_dataloader.dataset)[0]])
start = time.time()
optimiser = build_optim_wrapper(model, config.optim_wrapper)
losses = model(**model.data_preprocessor(data, True), mode="loss")
total, log = model.parse_losses(losses)
total.backward()
wrong = [n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
silent = [n for n, p in model.named_parameters() if p.grad is not None and not p.grad.abs().sum() > 0]
before = {n: p.detach().clone() for n, p in model.named_parameters()}
optimiser.step()
moved = sum(not torch.equal(before[n], p) for n, p in model.named_parameters())
print(json.dumps({
    "losses": {k: float(v) for k, v in log.items()},
    "inputs": sorted(data["inputs"]),
    "without_gradient": wrong, "silent": silent, "moved": moved, "parameters": len(before),
    "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "seconds": time.time() - start,
}))
"""


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: p.stem)
def test_one_lidar_step_at_full_size_fits_into_20_gb(recipe, keyframe_root):
    done = subprocess.run(
        [sys.executable, "-c", STEP, str(recipe), str(keyframe_root)], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.strip().splitlines()[-1])
    print(result)
    assert result["inputs"] == ["points", "rays", "rig"]
    assert all(abs(v) < 1e3 for v in result["losses"].values())
    assert result["without_gradient"] == []
    assert result["silent"] == []
    assert result["moved"] == result["parameters"]
    assert result["peak_gb"] < 20
