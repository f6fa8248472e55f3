"""A training of two numbers that takes no time, on which hooks and faults are tried."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import torch
from mmengine.model import BaseModel
from torch.utils.data import Dataset

from ponderv2 import compat
from ponderv2.engine.held_log import BuildingRunner


class Frames(Dataset):
    """Samples whose input is their number; `fault` is called with it in the process that loads it."""

    def __init__(self, count: int, fault: Callable[[int], object] | None = None) -> None:
        self.count, self.fault = count, fault

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict:
        if self.fault is not None:
            self.fault(index)
        return {"inputs": torch.tensor([float(index)]), "data_samples": SimpleNamespace(token=f"frame{index}")}


class Line(BaseModel):
    """A line after a batch norm; `change` gets the loss and the inputs of a batch, and returns the loss that counts."""

    def __init__(self, change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None) -> None:
        super().__init__()
        self.layer, self.norm, self.change = torch.nn.Linear(1, 1), torch.nn.BatchNorm1d(1), change

    def forward(self, inputs: list[torch.Tensor], data_samples: list, mode: str = "loss") -> dict:
        inputs = torch.stack(inputs)
        loss = self.layer(self.norm(inputs)).square().mean()
        return {"loss_line": self.change(loss, inputs) if self.change else loss}


def small_runner(
    folder: Path,
    frames: Dataset,
    hooks: Sequence[dict],
    model: torch.nn.Module | None = None,
    steps: int = 4,
    batch_size: int = 2,
    workers: int = 0,
    optim_wrapper: dict | None = None,
    **options,
) -> BuildingRunner:
    """Make the runner of a training that takes the frames in their order."""
    # Resuming reads checkpoints with the loader of this package.
    compat.install()
    return BuildingRunner(
        model or Line(),
        str(folder),
        train_dataloader=dict(
            dataset=frames,
            batch_size=batch_size,
            num_workers=workers,
            collate_fn=dict(type="pseudo_collate"),
            sampler=dict(type="InfiniteSampler", shuffle=False),
        ),
        train_cfg=dict(by_epoch=False, max_iters=steps),
        optim_wrapper=optim_wrapper or dict(optimizer=dict(type="AdamW", lr=0.1), clip_grad=dict(max_norm=35)),
        custom_hooks=list(hooks),
        experiment_name=f"{folder.name}_{id(frames)}",
        log_level="WARNING",
        **options,
    )
