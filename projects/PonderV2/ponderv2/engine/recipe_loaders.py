"""What the data loaders of a recipe take from the machine and from the seed."""

import torch
from mmengine.config import Config


def set_loaders(config: Config) -> None:
    """Let data loaders pin memory where there is a GPU, and processes agree on the order of frames.

    Memory is pinned unless a loader says something else. With `randomness.diff_rank_seed` each process has a seed of
    its own, and mmengine lets samplers draw one that all share; here they have the recipe's seed, as they have without
    `diff_rank_seed`, so that the order hangs on nothing else that was drawn before.

    Args:
        config: a recipe, which is changed.
    """
    randomness = config.get("randomness") or {}
    seed = randomness.get("seed") if randomness.get("diff_rank_seed") else None
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        loader = config.get(name)
        if not loader:
            continue
        if torch.cuda.is_available():
            loader.setdefault("pin_memory", True)
        if seed is not None and "sampler" in loader:
            loader.sampler.setdefault("seed", seed)
