"""What hiding 80 % of the voxels saves: the LiDAR encoder of the published size, masked against whole."""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ponderv2.devices import usable_device
from ponderv2.encoders import SECOND3D, SECOND3DFPN, HeightKeepingSparseEncoder, LidarEncoder, Voxels
from ponderv2.engine.allocator import keep_freed_memory
from ponderv2.errors import UserError
from ponderv2.masking import InputMasking
from ponderv2.registry import MODELS

from .measure import surroundings, timed
from .random_sweep import random_sweep

RANGE = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)


def run(args: argparse.Namespace) -> dict:
    """Time forward and backward passes, masked and whole in turn, and print a table.

    Returns:
        `time_ratio`: of the sparse encoder alone, whole over masked, the median over pairs. `with_second3d`: the
        same of the whole LiDAR encoder, whose dense part costs the same either way. Seconds, voxels, sizes, device
        and versions beside them.
    """
    args.device = usable_device(args.device)
    keep_freed_memory()
    torch.manual_seed(0)
    encoder = _encoder().to(args.device).train()
    points = random_sweep() if args.sweep is None else _read_sweep(args.sweep)
    points = points.to(args.device)
    masking = InputMasking(point_ratio=args.ratio, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = encoder.voxelize([points])
    draws = [encoder.mask(whole, masking) for _ in range(args.repeats)]

    def sparse(voxels: Voxels) -> Tensor:
        return encoder.pts_middle_encoder(voxels, encoder.grid)

    result = {
        "sweep": "random" if args.sweep is None else args.sweep.name,
        "points": len(points),
        "voxels": len(whole),
        "visible_voxels": round(median(len(d) for d in draws)),
        "ratio": args.ratio,
        "grid": list(encoder.voxel_grid.size),
    }
    rows = {"sparse encoder": _paired(sparse, whole, draws, encoder)}
    result |= rows["sparse encoder"]
    if not args.sparse_only:
        rows["with SECOND3D"] = _paired(encoder.encode_voxels, whole, draws[:2], encoder)
        result["with_second3d"] = rows["with SECOND3D"]
    result |= surroundings(args.device)
    _print(rows, result)
    return result


def _read_sweep(path: Path) -> Tensor:
    if not path.is_file():
        raise FileNotFoundError(f"--sweep {path} does not exist")
    values = np.fromfile(path, dtype=np.float32)
    if values.size == 0 or values.size % 5:
        raise UserError(f"--sweep {path}: expected 5 float32 values a point, found {values.size} values")
    points = torch.from_numpy(values).reshape(-1, 5)
    points[:, 4] = 0
    return points


def _encoder() -> LidarEncoder:
    return MODELS.build(
        dict(
            type=LidarEncoder,
            grid=dict(point_cloud_range=RANGE, size=(180, 180, 5)),
            voxel_size=(0.075, 0.075, 0.2),
            pts_middle_encoder=dict(type=HeightKeepingSparseEncoder),
            pts_backbone=dict(type=SECOND3D, in_channels=256),
            pts_neck=dict(type=SECOND3DFPN),
            channels=256,
        )
    )


def _paired(compute: Callable[[Voxels], Tensor], whole: Voxels, draws: list[Voxels], encoder: torch.nn.Module) -> dict:
    """Measure seconds of a forward and backward pass, whole and masked in turn, and their ratios."""
    with torch.no_grad():
        gradient = torch.randn_like(compute(draws[0]))

    def once(voxels: Voxels) -> float:
        encoder.zero_grad()
        return timed(lambda: compute(voxels).backward(gradient), str(gradient.device))

    once(draws[0])
    pairs = [(once(whole), once(masked)) for masked in draws]
    return {
        "time_ratio": median(a / b for a, b in pairs),
        "time_ratio_lowest": min(a / b for a, b in pairs),
        "seconds_whole": median(a for a, _ in pairs),
        "seconds_masked": median(b for _, b in pairs),
        "pairs": len(pairs),
    }


def _print(rows: dict[str, dict], result: dict) -> None:
    title = (
        f"{result['voxels']} voxels of {result['points']} points, {result['visible_voxels']} visible; "
        f"{result['device']}, {result['threads']} threads"
    )
    table = Table("forward + backward", "whole (s)", "masked (s)", "ratio", "lowest", title=title)
    for name, row in rows.items():
        numbers = (row["seconds_whole"], row["seconds_masked"], row["time_ratio"], row["time_ratio_lowest"])
        table.add_row(name, *(f"{n:.3g}" for n in numbers))
    Console().print(table)
