"""Two processes with a frame each train as one process with both."""

import json
import logging
import multiprocessing
import os
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from torch import distributed

from ponderv2.engine import load_config
from ponderv2.engine.held_log import BuildingRunner
from ponderv2.engine.recipe_loaders import set_loaders
from ponderv2.rendering import HierarchicalSampler
from tests.factories.keyframe import INFO_NAME, write_keyframe

RECIPE = Path(__file__).parents[2] / "configs" / "tiny" / "ponderv2_camera_synthetic.py"
STEPS = 10
OPTIONS = {
    "model.encoder.grid.size": (36, 36, 4),
    "model.head.sampler.num_proposals": 8,
    "model.head.sampler.num_important": 4,
    # What an iteration draws differs between processes, see `randomness` of the recipes.
    "model.masking": None,
    "optim_wrapper.precision": "float32",
    # Sums are rounded otherwise in two processes, and steps of the recipe's size make that grow from 2e-6 to 3e-5.
    "param_scheduler.0.eta_max": 1e-3,
    "train_dataloader.dataset.ann_file": INFO_NAME,
    "train_dataloader.num_workers": 0,
    "train_dataloader.persistent_workers": False,
    "train_dataloader.sampler.type": "DefaultSampler",
    "train_cfg": dict(type="IterBasedTrainLoop", max_iters=STEPS),
    "val_dataloader": None,
    "val_evaluator": None,
    "val_cfg": None,
    "custom_hooks": [],
    "visualizer.vis_backends": [],
    "log_level": "ERROR",
}


class Recorder(Hook):
    """Keeps the loss and the frames of each iteration in a file of the process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows = folder, []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.rows.append((outputs["loss"].item(), [sample.token for sample in data_batch["data_samples"]]))

    def after_train(self, runner) -> None:
        (self.folder / f"{get_rank()}.json").write_text(json.dumps(self.rows))


def _train(root: Path, folder: Path, batch_size: int, **launch: object) -> None:
    config = load_config(RECIPE, root, OPTIONS | {"train_dataloader.batch_size": batch_size, **launch})
    config.work_dir = str(folder / "work")
    set_loaders(config)
    runner = BuildingRunner.from_cfg(config)
    runner.register_hook(Recorder(folder))
    runner.train()


def _process(rank: int, root: Path, folder: Path) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    logging.disable()
    group = dict(backend="gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2)
    _train(root, folder, 1, launcher="pytorch", **{"env_cfg.dist_cfg": group})
    distributed.barrier()
    distributed.destroy_process_group()


def _steps(folder: Path, ranks: int) -> list[tuple[float, list[str]]]:
    """The loss of each global batch, the mean over its frames, and its frames."""
    rows = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(ranks)]
    return [
        (sum(loss for loss, _ in parts) / ranks, sorted(token for _, tokens in parts for token in tokens))
        for parts in zip(*rows, strict=True)
    ]


def _write_frames(root: Path) -> Path:
    """Four frames, so that an epoch has two iterations; what they show is alike, what is drawn for them is not."""
    info = write_keyframe(root)
    (frame,) = info["data_list"]
    info["data_list"] = [frame | {"token": f"frame {k}", "timestamp": 100.0 + k} for k in range(4)]
    (root / INFO_NAME).write_bytes(pickle.dumps(info))
    return root


@pytest.mark.skipif(torch.cuda.is_available(), reason="the processes are forked and share a CPU")
def test_two_processes_train_as_one_with_the_same_batch(tmp_path, monkeypatch):
    forward = HierarchicalSampler.__call__
    # Without shifts along the rays, which each process draws for itself.
    monkeypatch.setattr(
        HierarchicalSampler,
        "__call__",
        lambda self, near, far, sdf, stratified, *rest: forward(self, near, far, sdf, False, *rest),
    )
    frames = _write_frames(tmp_path / "frames")
    alone, together = tmp_path / "alone", tmp_path / "together"
    alone.mkdir()
    together.mkdir()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_process, args=(rank, frames, together)) for rank in range(2)]
    for process in processes:
        process.start()
    try:
        _train(frames, alone, 2)
        for process in processes:
            process.join(600)
    finally:
        for process in processes:
            process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    one, two = _steps(alone, 1), _steps(together, 2)
    assert [tokens for _, tokens in one] == [tokens for _, tokens in two]
    for first, second in zip(two[::2], two[1::2], strict=True):
        # Every frame of an epoch once.
        assert len({*first[1], *second[1]}) == 4
    assert len({round(loss, 6) for loss, _ in one}) == STEPS
    assert [loss for loss, _ in two] == pytest.approx([loss for loss, _ in one], rel=1e-5)
