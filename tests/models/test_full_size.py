"""The published camera model at full size: one training step on the real key frame fits into memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "configs" / "pretrain" / "ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes.py"

STEP = """
import json, resource, sys, time
from pathlib import Path
import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from ponderv2.engine import load_config
from ponderv2.registry import DATASETS, MODELS

recipe, root = sys.argv[1:]
options = {
    "model.encoder.img_backbone.weights": None,
    "train_dataloader.dataset.ann_file": "nuscenes_infos_keyframe.pkl",
}
config = load_config(Path(recipe), Path(root), options)
torch.manual_seed(0)
model = MODELS.build(config.model)
model.init_weights()
model.train()
data = pseudo_collate([DATASETS.build(config.train_dataloader.dataset)[0]])
start = time.time()
# The gradients are looked at between the backward pass and the step.
optimiser = build_optim_wrapper(model, config.optim_wrapper)
losses = model(**model.data_preprocessor(data, True), mode="loss")
total, log = model.parse_losses(losses)
total.backward()
trainable = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
wrong = [n for n, p in trainable if p.grad is None or not torch.isfinite(p.grad).all() or not p.grad.abs().sum() > 0]
frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
may_freeze = ("encoder.img_backbone.stem", "encoder.img_backbone.stages.0")
before = {n: p.detach().clone() for n, p in trainable}
optimiser.step()
moved = sum(not torch.equal(before[n], p) for n, p in trainable)
print(json.dumps({
    "losses": {k: float(v) for k, v in log.items()},
    "images": list(data["inputs"]["img"][0].shape),
    "without_gradient": wrong, "frozen": len(frozen), "moved": moved, "trainable": len(trainable),
    "frozen_outside": [n for n in frozen if not n.startswith(may_freeze)],
    "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "seconds": time.time() - start,
}))
"""


@pytest.mark.slow
@pytest.mark.real
def test_one_step_at_full_size_fits_into_20_gb(keyframe_root):
    done = subprocess.run(
        [sys.executable, "-c", STEP, str(RECIPE), str(keyframe_root)], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.strip().splitlines()[-1])
    print(result)
    assert result["images"] == [6, 3, 900, 1600]
    assert all(abs(v) < 1e3 for v in result["losses"].values())
    assert result["without_gradient"] == []
    assert result["frozen_outside"] == []
    assert result["moved"] == result["trainable"]
    assert result["peak_gb"] < 20
