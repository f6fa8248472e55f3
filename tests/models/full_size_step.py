"""A program for `models/test_full_size.py`: one training step of a recipe on the real key frame, told as JSON.

python -m tests.models.full_size_step RECIPE DATA_ROOT

The last line has the losses, what was read, the parameters without a gradient, the peak of memory (GB) and the seconds.
A recipe with history reads the key frame as often as it would earlier ones, as if the car had stood.
"""

import json
import sys
import time
from pathlib import Path

import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper

from benchmarks.measure import resident_bytes
from ponderv2.datasets.history import pack_history
from ponderv2.engine import load_config
from ponderv2.registry import DATASETS, MODELS


def main(recipe: Path, root: Path) -> dict:
    config = load_config(recipe, root, {"train_dataloader.dataset.ann_file": "nuscenes_infos_keyframe.pkl"})
    model = config.model
    model.update(init_cfg=None)
    # Weights of a hub need a network.
    for encoder in (model.encoder, model.encoder.get("camera", {})):
        if "img_backbone" in encoder:
            encoder.img_backbone.weights = None
    torch.manual_seed(0)
    model = MODELS.build(model)
    model.init_weights()
    model.train()
    frames = config.train_dataloader.dataset
    history = frames.get("history", 0)
    example = DATASETS.build(frames | dict(history=0) if history else frames)[0]
    if history:
        example["inputs"]["history"] = pack_history(example, [example] * history)
    data = pseudo_collate([example])
    start = time.time()
    optimiser = build_optim_wrapper(model, config.optim_wrapper)
    losses = model(**model.data_preprocessor(data, True), mode="loss")
    total, log = model.parse_losses(losses)
    total.backward()
    # The gradients are looked at between the backward pass and the step.
    trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
    finite = {n for n, p in trainable.items() if p.grad is not None and torch.isfinite(p.grad).all()}
    before = {n: p.detach().clone() for n, p in trainable.items()}
    optimiser.step()
    return {
        "losses": {k: float(v) for k, v in log.items()},
        "inputs": {k: list(v[0].shape) if hasattr(v[0], "shape") else None for k, v in data["inputs"].items()},
        "without_gradient": [n for n in trainable if n not in finite],
        "silent": [n for n in finite if not trainable[n].grad.abs().sum() > 0],
        "frozen": [n for n, p in model.named_parameters() if not p.requires_grad],
        "unmoved": [n for n, p in trainable.items() if torch.equal(before[n], p)],
        "peak_gb": resident_bytes() / 2**30,
        "seconds": time.time() - start,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
