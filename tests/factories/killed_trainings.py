"""Tiny recipes that are trained by tools/train.py, in processes that are killed."""

import json
import os
import re
import signal
from collections.abc import Sequence
from functools import partial
from multiprocessing.context import ForkProcess
from pathlib import Path

import torch
from mmengine.config import Config

from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.engine import load_config, resolved_recipe
from tests.factories.gt_database import gt_object, write_gt_database
from tests.factories.processes import forked, wait_for
from tests.factories.tool_scripts import load_tool

ROOT = Path(__file__).parents[2]
GRID = {"model.encoder.grid.size": (36, 36, 4)}
VOXELS = GRID | {"model.encoder.voxel_size": (0.375, 0.375, 0.25), "model.init_cfg": None}
STEPS, EPOCH = 16, 4


def tiny_recipe(kind: str, streets: Path, folder: Path) -> Path:
    """Write a recipe of 16 iterations into a folder.

    Args:
        kind: "camera", a pre-training that validates on the way; "lidar", a detector that samples objects in its first
            two epochs; or "segmentation".
        streets: folder of the data.
        folder: folder of the recipe, and of the database of objects.
    """
    name, options = {
        "camera": ("ponderv2_camera_synthetic", GRID | {"train_cfg.val_interval": 7}),
        "lidar": ("uvtr_lidar_synthetic", VOXELS),
        "segmentation": ("lidarseg_unet_synthetic", VOXELS),
    }[kind]
    options |= {"default_hooks.checkpoint.interval": 2, "default_hooks.progress.seconds": 0}
    options |= {"default_hooks.logger.interval": 1, "train_cfg.max_iters": STEPS}
    config = load_config(ROOT / "configs" / "tiny" / f"{name}.py", streets, options)
    if kind == "lidar":
        _sample_objects(config, folder)
    path = folder / f"{kind}.py"
    path.write_text(resolved_recipe(config).pretty_text)
    return path


def _sample_objects(config: Config, folder: Path) -> None:
    """Train by epochs of four iterations, with sampled objects in the first two."""
    # Classes by name: a recipe cannot be written with the classes themselves.
    cars = [gt_object("car", (8.0 * k - 30, 20.0 * (-1) ** k, 0.0, 4, 2, 1.5, 0.1 * k)) for k in range(8)]
    write_gt_database(folder / "database", cars)
    dataset = config.train_dataloader.dataset
    sampling = dict(
        type="ponderv2.datasets.GroundTruthSampling", data_root=str(folder), database="database", groups={"car": 4}
    )
    dataset.pipeline = [*dataset.pipeline[:2], sampling, *dataset.pipeline[2:]]
    config.train_dataloader.dataset = dict(type="mmengine.dataset.RepeatDataset", dataset=dataset, times=EPOCH // 2)
    config.train_dataloader.sampler = dict(type="mmengine.dataset.DefaultSampler", shuffle=True)
    config.train_cfg = dict(by_epoch=True, max_epochs=STEPS // EPOCH, val_interval=STEPS)
    config.custom_hooks = [
        dict(type="ponderv2.engine.DisableTransformsHook", after=2, transforms=["GroundTruthSampling"])
    ]


def train(recipe: Path, work_dir: Path, kills: Sequence[int] = ()) -> None:
    """Train in processes that are killed after these iterations, or soon after, and resumed; and then to the end."""
    for part, kill in enumerate([*kills, None]):
        arguments = [str(recipe), "--work-dir", str(work_dir)]
        # Before the first checkpoint there is nothing to resume.
        arguments += ["--resume"] if (work_dir / "last_checkpoint").is_file() else []
        log = work_dir.with_name(f"{work_dir.name}_{part}.log")
        # Forked, for a process of its own imports the stack first.
        with forked(partial(load_tool(ROOT, "train").main, arguments), log) as process:
            wait_for(lambda log=log, kill=kill: _ended(process) or _iteration(log) >= (kill or STEPS + 1), 3600)
            if kill is not None:
                os.killpg(process.pid, signal.SIGKILL)
            process.join()
        assert process.exitcode == (0 if kill is None else -signal.SIGKILL), log.read_text()[-3000:]


def _ended(process: ForkProcess) -> bool:
    return process.exitcode is not None


def _iteration(log: Path) -> int:
    """Return the number of the iteration, over all epochs, that was told of last."""
    found = re.findall(r"^(?:epoch (\d+)/\d+  )?iter (\d+)/(\d+)  .*\n", log.read_text() if log.exists() else "", re.M)
    if not found:
        return 0
    epoch, done, total = (int(group or 1) for group in found[-1])
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
