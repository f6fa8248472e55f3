"""A few training steps of a recipe on a random batch: seconds, peak memory, and how often the host waits."""

import math
from pathlib import Path

import torch
from mmengine.optim import build_optim_wrapper

from benchmarks.lift_benchmark import IMAGE
from benchmarks.measure import resident_bytes, timed
from ponderv2.engine import load_config

from .host_syncs import host_syncs
from .random_batch import random_batch
from .random_weights import build_at_random, start_at_random


def recipe_step(
    recipe: Path, device: str, image_size: tuple[int, int] = IMAGE, options: dict | None = None, repeats: int = 3
) -> dict:
    """Train a recipe's model from random weights, in the precision that the recipe says.

    Args:
        recipe: a recipe of `configs/`.
        device: where the model is.
        image_size: height and width of the image files, pixels, which the recipe may resize.
        options: changes to the recipe by key.
        repeats: number of steps that are timed, after two that are not.

    Returns:
        `recipe`, `batch_size`, `seconds` of the fastest step, `peak_bytes`, `losses` by name of the last step,
        `host_syncs`, lines at which the host waits in a step, and `passed`, whether the losses are finite.
    """
    config = load_config(recipe, options=options)
    start_at_random(config)
    torch.backends.cudnn.benchmark = bool(config.env_cfg.get("cudnn_benchmark"))
    torch.manual_seed(0)
    model = build_at_random(config).to(device).train()
    optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)
    batch = random_batch(config, image_size)
    if device.startswith("cuda"):
        batch = torch.utils.data._utils.pin_memory.pin_memory(batch)

    def step() -> dict:
        return model.train_step(batch, optim_wrapper)

    step()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    step()
    seconds = min(timed(step, device) for _ in range(repeats))
    last: list[dict] = []
    waits = host_syncs(lambda: last.append(step()), device)
    losses = {name: torch.as_tensor(value).detach().item() for name, value in last[0].items()}
    peak = torch.cuda.max_memory_allocated() if device.startswith("cuda") else resident_bytes()
    return {
        "recipe": recipe.stem,
        "batch_size": config.train_dataloader.batch_size,
        "seconds": seconds,
        "peak_bytes": peak,
        "losses": losses,
        "host_syncs": waits,
        "passed": all(math.isfinite(value) for value in losses.values()),
    }
