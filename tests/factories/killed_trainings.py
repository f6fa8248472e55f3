"""Tiny recipes that are trained by tools/train.py, in processes that are killed."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config

from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.engine import load_config, resolved_recipe
from tests.factories.gt_database import gt_object, write_gt_database

ROOT = Path(__file__).parents[2]
GRID = {"model.encoder.grid.size": (36, 36, 4)}
VOXELS = GRID | {"model.encoder.voxel_size": (0.375, 0.375, 0.25), "model.init_cfg": None}
STEPS = 24


def tiny_recipe(kind: str, streets: Path, folder: Path) -> Path:
    """Write a recipe of 24 iterations into a folder.

    Args:
        kind: "camera", a pre-training that validates on the way; "lidar", a detector that samples objects in its first
            two epochs; or "segmentation".
        streets: folder of the data.
        folder: folder of the recipe, and of the database of objects.
    """
    name, options = {
        "camera": ("ponderv2_camera_synthetic", GRID | {"train_cfg.val_interval": 10}),
        "lidar": ("uvtr_lidar_synthetic", VOXELS),
        "segmentation": ("lidarseg_unet_synthetic", VOXELS),
    }[kind]
    options |= {"default_hooks.checkpoint.interval": 3, "default_hooks.progress.seconds": 0}
    options |= {"default_hooks.logger.interval": 1, "train_cfg.max_iters": STEPS}
    config = load_config(ROOT / "configs" / "tiny" / f"{name}.py", streets, options)
    if kind == "lidar":
        _sample_objects(config, folder)
    path = folder / f"{kind}.py"
    path.write_text(resolved_recipe(config).pretty_text)
    return path


def _sample_objects(config: Config, folder: Path) -> None:
    """Train by epochs of six iterations, with sampled objects in the first two."""
    # Classes by name: a recipe cannot be written with the classes themselves.
    cars = [gt_object("car", (8.0 * k - 30, 20.0 * (-1) ** k, 0.0, 4, 2, 1.5, 0.1 * k)) for k in range(8)]
    write_gt_database(folder / "database", cars)
    dataset = config.train_dataloader.dataset
    sampling = dict(
        type="ponderv2.datasets.GroundTruthSampling", data_root=str(folder), database="database", groups={"car": 4}
    )
    dataset.pipeline = [*dataset.pipeline[:2], sampling, *dataset.pipeline[2:]]
    config.train_dataloader.dataset = dict(type="mmengine.dataset.RepeatDataset", dataset=dataset, times=3)
    config.train_dataloader.sampler = dict(type="mmengine.dataset.DefaultSampler", shuffle=True)
    config.train_cfg = dict(by_epoch=True, max_epochs=STEPS // 6, val_interval=STEPS)
    config.custom_hooks = [
        dict(type="ponderv2.engine.DisableTransformsHook", after=2, transforms=["GroundTruthSampling"])
    ]


def train(recipe: Path, work_dir: Path, kills: Sequence[int] = ()) -> None:
    """Train in processes that are killed after these iterations, or soon after, and resumed; and then to the end."""
    for part, kill in enumerate([*kills, None]):
        command = [sys.executable, "tools/train.py", str(recipe), "--work-dir", str(work_dir)]
        # Before the first checkpoint there is nothing to resume.
        command += ["--resume"] if (work_dir / "last_checkpoint").is_file() else []
        log = work_dir.with_name(f"{work_dir.name}_{part}.log")
        with (
            log.open("w") as errors,
            subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                start_new_session=True,
            ) as process,
        ):
            for line in process.stdout:
                errors.write(line)
                if kill is not None and _iteration(line) >= kill:
                    os.killpg(process.pid, signal.SIGKILL)
        expected = 0 if kill is None else -signal.SIGKILL
        assert process.returncode == expected, log.read_text()[-3000:]


def _iteration(line: str) -> int:
    """Return the number of the iteration that a line of progress is about, over all epochs; -1 for other lines."""
    found = re.match(r"(?:epoch (\d+)/\d+  )?iter (\d+)/(\d+)  ", line)
    if found is None:
        return -1
    epoch, done, total = (int(group or 1) for group in found.groups())
    return (epoch - 1) * total + done


def losses(work_dir: Path) -> dict[int, dict[str, float]]:
    """Return the losses of each iteration; those of an iteration that was trained several times have to be the same."""
    found: dict[int, dict[str, float]] = {}
    for file in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in map(json.loads, file.read_text().splitlines()):
            values = {name: value for name, value in line.items() if name.endswith("loss") or name.startswith("loss")}
            if values:
                assert found.setdefault(line["step"], values) == values
    return found


def weights(work_dir: Path) -> dict[str, torch.Tensor]:
    """Return the weights of the last checkpoint."""
    return load_checkpoint_file(Path((work_dir / "last_checkpoint").read_text()))["state_dict"]
