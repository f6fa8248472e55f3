"""Whether the schedules of a recipe are as long as its training."""

from pathlib import Path

from mmengine.optim import _ParamScheduler
from mmengine.optim.scheduler.param_scheduler import INF
from mmengine.runner import Runner

from ponderv2.errors import UserError


def check_schedules(runner: Runner, recipe: Path) -> None:
    """Refuse a one-cycle schedule that is over before the training is, and tell of one that the training does not end.

    Torch and mmengine fail late on the first, and say nothing of the second, whose last rates are then still high. Only
    the main process prints, one line for all schedules.

    Args:
        runner: runner of the recipe, whose schedulers are built.
        recipe: the recipe, for messages.

    Raises:
        UserError: a one-cycle schedule is shorter than the training.
    """
    cut = []
    for place, scheduler in enumerate(runner.param_schedulers or []):
        length = runner.max_epochs if scheduler.by_epoch else runner.max_iters
        _check_cycle(scheduler, place, length, recipe)
        key, end = _end(scheduler)
        if end > length:
            cut.append((f"param_scheduler[{place}]", key, end, length))
    if cut and runner.rank == 0:
        (name, key, end, length), *others = cut
        more = f" (and {len(others)} more)" if others else ""
        print(
            f"warning: the training ends at {length} of the {end} steps of {name}{more}, whose last rates are not "
            f"reached; a shorter train_cfg wants its {key} changed as well",
            flush=True,
        )


def _end(scheduler: _ParamScheduler) -> tuple[str, int]:
    """Return the setting that ends a schedule, and the step or epoch of its end; 0 where it has none."""
    total = getattr(scheduler, "total_steps", None)
    if total is not None and scheduler.end >= INF:
        return "total_steps", scheduler.begin + total
    return "end", scheduler.end if scheduler.end < INF else 0


def _check_cycle(scheduler: _ParamScheduler, place: int, length: int, recipe: Path) -> None:
    """Refuse a one-cycle schedule that is over before the training is, where torch and mmengine fail late."""
    total = getattr(scheduler, "total_steps", None)
    if total is None:
        return
    steps = min(scheduler.end, length) - scheduler.begin
    if steps > total:
        raise UserError(
            f"recipe {recipe}: param_scheduler[{place}].total_steps is {total}, but the training has {steps} steps for "
            "it; a change of train_cfg.max_iters wants total_steps changed as well, or end set"
        )
