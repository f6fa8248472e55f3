"""The estimate of a step's cost as lines and as a record."""

from collections.abc import Sequence

from mmengine.config import Config

from .cards import Card
from .cost_estimate import StepCost


def cost_record(cost: StepCost, config: Config, cards: Sequence[Card]) -> dict:
    """Return the estimate as plain values: numbers, FLOPs, bytes and seconds."""
    record = {
        "batch_size": config.train_dataloader.batch_size,
        "parts": {name: vars(part) for name, part in cost.parts.items()},
        "flops": {key: cost.total(key) for key in ("forward", "backward")},
        "bytes": cost.memory,
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


def cost_lines(cost: StepCost, config: Config, cards: Sequence[Card]) -> list[str]:
    """Return the estimate as lines of text: parts, memory, the least time on each card, and the check."""
    width = max(map(len, cost.parts))
    lines = [
        f"one step of {config.train_dataloader.batch_size} samples on one device, in float32",
        f"{'part':{width}}  {'parameters':>12}  {'forward':>12}  {'backward':>12}  {'activations':>12}",
    ]
    rows = [(name, vars(part)) for name, part in cost.parts.items() if any(vars(part).values())]
    rows.append(("all", {key: cost.total(key) for key in ("parameters", "forward", "backward", "activations")}))
    for name, values in rows:
        lines.append(
            f"{name:{width}}  {values['parameters'] / 1e6:10.3f} M  {values['forward'] / 1e9:7.2f} GFLOP  "
            f"{values['backward'] / 1e9:7.2f} GFLOP  {values['activations'] / 2**20:8.1f} MiB"
        )
    memory = cost.memory
    lines.append(
        "memory: "
        + ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in memory.items())
        + f"; together {sum(memory.values()) / 2**30:.2f} GiB, besides what a step computes with for a moment"
    )
    for card in cards:
        times = [f"{cost.seconds_on(card, p) * 1e3:.3g} ms in {p}" for p in ("bfloat16", "tf32")]
        fits = "" if sum(memory.values()) < card.memory_gb * 1e9 else ", which does not hold it"
        lines.append(f"{card.name}{fits}: at least {', '.join(times)} at its peak rates ({card.source})")
    if cost.seconds is not None:
        lines.append(
            f"measured on this CPU: {cost.seconds:.2f} processor seconds a step, {cost.flops / cost.seconds / 1e9:.1f} "
            f"GFLOP/s; a product of matrices reaches {cost.gemm_flops / 1e9:.1f}"
        )
    return lines
