"""A program for `models/test_full_size_segmentation.py`: a training step and a prediction of the real sweep, as JSON.

python -m tests.models.full_size_segmentation RECIPE KEYFRAME_ROOT

The key frame has no labels: the program gives points some, by height.
"""

import json
import pickle
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper

from benchmarks.measure import resident_bytes
from ponderv2.datasets import load_info_file
from ponderv2.engine import load_config
from ponderv2.models import LidarSegmentor
from ponderv2.registry import DATASETS, MODELS

INFOS = "nuscenes_infos_keyframe.pkl"
ROAD, CAR, MANMADE = 24, 17, 28


def label(keyframe: Path, root: Path) -> None:
    """Link the key frame into a folder, with labels of its points and an info file that names them."""
    (root / "samples").symlink_to(keyframe.resolve() / "samples")
    info = load_info_file(keyframe / INFOS)
    folder = root / "lidarseg" / info["metainfo"].get("version", "v1.0-mini")
    folder.mkdir(parents=True)
    for k, frame in enumerate(info["data_list"]):
        points = np.fromfile(root / "samples/LIDAR_TOP" / Path(frame["lidar_points"]["lidar_path"]).name, np.float32)
        height = points.reshape(-1, 5)[:, 2]
        labels = np.select([height < -1.5, height < 0.5], [ROAD, CAR], MANMADE).astype(np.uint8)
        labels.tofile(folder / f"{k}_lidarseg.bin")
        frame["pts_semantic_mask_path"] = f"{k}_lidarseg.bin"
        frame["lidar_points"].setdefault("sample_data_token", f"lidar{k}")
    info["metainfo"].setdefault("version", "v1.0-mini")
    (root / INFOS).write_bytes(pickle.dumps(info))


def main(recipe: Path, keyframe: Path) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        label(keyframe, Path(folder))
        changes = {f"{part}_dataloader.dataset.ann_file": INFOS for part in ("train", "test")}
        config = load_config(recipe, Path(folder), changes)
        train, test = (DATASETS.build(config[f"{part}_dataloader"].dataset)[0] for part in ("train", "test"))
    config.model.init_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    # Prediction first: its memory is less than that of the step.
    return predict(model.eval(), test) | step(model.train(), train, config)


def predict(model: LidarSegmentor, sample: dict) -> dict:
    seconds, busy = [], []
    for _ in range(3):
        start, before = time.time(), time.process_time()
        (found,) = model.test_step(pseudo_collate([{**sample, "data_samples": sample["data_samples"].clone()}]))
        seconds.append(time.time() - start)
        busy.append(time.process_time() - before)
    return {
        "predicted": len(found.pred_pts_seg.pts_semantic_mask),
        "scored": len(found.eval_ann_info["pts_semantic_mask"]),
        "rows": len(sample["inputs"]["points"]),
        "prediction_seconds": seconds,
        "prediction_cpu_seconds": busy,
        "threads": torch.get_num_threads(),
    }


def step(model: LidarSegmentor, sample: dict, config: Config) -> dict:
    start, busy = time.time(), time.process_time()
    optimizer = build_optim_wrapper(model, config.optim_wrapper)
    data = model.data_preprocessor(pseudo_collate([sample]), True)
    total, log = model.parse_losses(model(**data, mode="loss"))
    total.backward()
    trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
    without = [n for n, p in trainable.items() if p.grad is None or not torch.isfinite(p.grad).all()]
    before = {n: p.detach().clone() for n, p in trainable.items()}
    optimizer.step()
    return {
        "losses": {k: float(v) for k, v in log.items()},
        "without_gradient": without,
        "unmoved": [n for n, p in trainable.items() if torch.equal(before[n], p)],
        "peak_gb": resident_bytes() / 2**30,
        "seconds": time.time() - start,
        "cpu_seconds": time.process_time() - busy,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
