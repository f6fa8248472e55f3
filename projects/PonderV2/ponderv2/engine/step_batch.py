"""The batch of a step, which may be several batches of each process, and that which learning rates are for."""

from mmengine.runner import Runner


def tell_of_batch(runner: Runner) -> None:
    """Print where the batch of a step is not that of the rates, and nothing scales them."""
    scale = runner.auto_scale_lr or {}
    loader = runner.cfg.train_dataloader
    size = loader.get("batch_size") if isinstance(loader, dict) else None
    base = scale.get("base_batch_size")
    if size is None or base is None or scale.get("enable"):
        return
    accumulated = _accumulated(runner)
    batch = size * runner.world_size * accumulated
    if batch == base:
        return
    times = f", {accumulated} times a step" if accumulated > 1 else ""
    print(
        f"warning: the batch is {batch} ({runner.world_size} processes with {size}{times}), the learning rates are "
        f"those of {base}; auto_scale_lr.enable=True in --cfg-options scales them",
        flush=True,
    )


def scale_of_steps(runner: Runner) -> dict | None:
    """Return `auto_scale_lr` for batches of which several make a step: mmengine compares with the base a single one."""
    scale, accumulated = runner.auto_scale_lr, _accumulated(runner)
    if not scale or "base_batch_size" not in scale or accumulated == 1:
        return scale
    return dict(scale, base_batch_size=scale["base_batch_size"] / accumulated)


def _accumulated(runner: Runner) -> int:
    return (runner.cfg.get("optim_wrapper") or {}).get("accumulative_counts", 1)
