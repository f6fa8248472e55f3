"""The estimate of a step's cost as lines and as a record."""

import math
from collections.abc import Sequence

from mmengine.config import Config

from ponderv2.engine import innermost_dataset

from .cards import Card
from .cost_estimate import StepCost

FRAMES, BALANCED = 28_130, 123_580
"""Key frames of nuScenes' training scenes, and samples of an epoch of them with balanced classes (CBGS)."""


def cost_record(cost: StepCost, config: Config, cards: Sequence[Card], frames: int | None = None) -> dict:
    """Return the estimate as plain values: numbers, FLOPs, bytes and seconds."""
    record = {
        "batch_size": config.train_dataloader.batch_size,
        "parts": {name: vars(part) for name, part in cost.parts.items()},
        "flops": {key: cost.total(key) for key in ("forward", "backward")},
        "bytes": cost.memory,
        "bytes_in_bfloat16": cost.bytes_in("bfloat16"),
        "image_size": cost.image_size,
        "steps": schedule_steps(config, frames),
        "least_seconds": {card.name: {p: cost.seconds_on(card, p) for p in ("bfloat16", "tf32")} for card in cards},
        "sources": {card.name: card.source for card in cards},
    }
    if cost.seconds is not None:
        record["measured"] = {
            "cpu_seconds": cost.seconds,
            "flops_per_second": cost.flops / cost.seconds,
            "matrix_flops_per_second": cost.gemm_flops,
        }
    return record


def schedule_steps(config: Config, frames: int | None = None) -> int:
    """Return the number of steps of a recipe's schedule on one device.

    Args:
        config: the recipe.
        frames: key frames of an epoch; None takes those of nuScenes, of which `load_interval` and `fraction` leave a
            part.
    """
    if "max_iters" in config.train_cfg:
        return config.train_cfg.max_iters
    key, dataset = innermost_dataset(config.train_dataloader)
    if frames is None:
        # A share of the labels leaves all frames.
        by_labels = dataset.get("fraction_by") == "points" or dataset.get("keep_unlabeled")
        share = 1.0 if by_labels else dataset.get("fraction", 1.0)
        whole = FRAMES if key == "dataset" else BALANCED
        frames = math.ceil(whole * share / dataset.get("load_interval", 1))
    return config.train_cfg.max_epochs * math.ceil(frames / config.train_dataloader.batch_size)


def cost_lines(cost: StepCost, config: Config, cards: Sequence[Card], frames: int | None = None) -> list[str]:
    """Return the estimate as lines of text: parts, memory, the check, and of each card whether and when.

    Args:
        cost: what a step costs.
        config: the recipe.
        cards: cards to tell of.
        frames: as of `schedule_steps`.
    """
    batch = config.train_dataloader.batch_size
    lines = [f"one step of {batch} samples on one device, in float32"]
    if cost.image_size is not None:
        lines.append(f"images: {cost.image_size[0]}×{cost.image_size[1]} pixels after the pipeline's resizing")
    lines += _part_lines(cost)
    memory = cost.memory
    lines.append("memory: " + ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in memory.items()))
    if cost.seconds is not None:
        lines.append(
            f"measured on this CPU: {cost.seconds:.2f} processor seconds a step, {cost.flops / cost.seconds / 1e9:.1f} "
            f"GFLOP/s; a product of matrices reaches {cost.gemm_flops / 1e9:.1f}"
        )
    for card in cards:
        times = [f"{cost.seconds_on(card, p) * 1e3:.3g} ms in {p}" for p in ("bfloat16", "tf32")]
        lines.append(f"{card.name}: at least {', '.join(times)} at its peak rates ({card.source})")
    sizes = [f"{cost.bytes_in(precision) / 2**30:.2f} GiB in {precision}" for precision in ("bfloat16", "float32")]
    lines.append(f"together {', '.join(sizes)}, besides what a step computes with for a moment")
    steps, devices = schedule_steps(config, frames), _devices(config)
    for card in cards:
        seconds = steps * cost.seconds_on(card)
        shared = f", {_duration(seconds / devices)} on {devices}" if devices > 1 else ""
        held = {p: cost.bytes_in(p) < card.memory_gb * 1e9 for p in ("bfloat16", "float32")}
        verdict = "fits" if held["float32"] else "fits in bfloat16 alone" if held["bfloat16"] else "does not fit"
        lines.append(
            f"{card.name}, {card.memory_gb:.0f} GB: {verdict}; {steps} steps take at least {_duration(seconds)} in "
            f"bfloat16 on one card{shared}"
        )
    return lines


def _part_lines(cost: StepCost) -> list[str]:
    width = max(map(len, cost.parts))
    lines = [f"{'part':{width}}  {'parameters':>12}  {'forward':>13}  {'backward':>13}  {'activations':>12}"]
    rows = [(name, vars(part)) for name, part in cost.parts.items() if any(vars(part).values())]
    rows.append(("all", {key: cost.total(key) for key in ("parameters", "forward", "backward", "activations")}))
    for name, values in rows:
        lines.append(
            f"{name:{width}}  {values['parameters'] / 1e6:10.3f} M  {values['forward'] / 1e9:7.2f} GFLOP  "
            f"{values['backward'] / 1e9:7.2f} GFLOP  {values['activations'] / 2**20:8.1f} MiB"
        )
    return lines


def _devices(config: Config) -> int:
    """Return the number of devices that the rates of a recipe are for; 1 where it does not tell."""
    base = config.get("auto_scale_lr", {}).get("base_batch_size", 0)
    return max(1, base // config.train_dataloader.batch_size)


def _duration(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 3600
        else f"{seconds:.2g} s"
        if seconds < 60
        else f"{seconds / 60:.1f} min"
    )
