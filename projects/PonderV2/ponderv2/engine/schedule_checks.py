"""Whether the schedules of a recipe are as long as its training, and heed its parameter groups."""

from pathlib import Path

from mmengine.optim import OneCycleLR, _ParamScheduler
from mmengine.optim.scheduler.param_scheduler import INF
from mmengine.runner import Runner

from ponderv2.errors import UserError

from .one_cycle import GroupOneCycleLR


def check_schedules(runner: Runner, recipe: Path) -> None:
    """Refuse a one-cycle schedule that is over before the training is, and tell of one that the training does not end.

    Torch and mmengine fail late on the first, and say nothing of the second, whose last rates are then still high. Only
    the main process prints, one line for all schedules. Refused is also mmengine's one cycle where groups of parameters
    are to have rates of their own, which it does not give them.

    Args:
        runner: runner of the recipe, whose schedulers are built.
        recipe: the recipe, for messages.

    Raises:
        UserError: a one-cycle schedule is shorter than the training, or `lr_mult` would have no effect.
    """
    cut = []
    for place, scheduler in enumerate(runner.param_schedulers or []):
        length = runner.max_epochs if scheduler.by_epoch else runner.max_iters
        _check_cycle(scheduler, place, length, recipe)
        _check_groups(scheduler, place, runner, recipe)
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


def _check_groups(scheduler: _ParamScheduler, place: int, runner: Runner, recipe: Path) -> None:
    """Refuse mmengine's one cycle beside an `lr_mult`, which it overwrites with its `eta_max`."""
    if not isinstance(scheduler, OneCycleLR) or isinstance(scheduler, GroupOneCycleLR):
        return
    paramwise = (runner.cfg.get("optim_wrapper") or {}).get("paramwise_cfg") or {}
    keys = paramwise.get("custom_keys", {})
    ignored = [key for key, changes in keys.items() if changes.get("lr_mult", 1.0) != 1.0]
    if ignored and not isinstance(scheduler.eta_max, list | tuple):
        raise UserError(
            f"recipe {recipe}: param_scheduler[{place}] is mmengine's OneCycleLR, which gives every group the same "
            f"eta_max, so lr_mult of {ignored[0]!r} has no effect; use ponderv2.engine.GroupOneCycleLR"
        )
