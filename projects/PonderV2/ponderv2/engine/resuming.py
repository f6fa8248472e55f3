"""Whether a training can go on from a checkpoint."""

from pathlib import Path

from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from ponderv2.checkpoints import check_covering
from ponderv2.errors import UserError

from .unwrapping import unwrapped


def check_resumable(runner: Runner, checkpoint: dict, path: Path) -> list[str]:
    """Check that a training can go on from a checkpoint: it has the state of a training, of this model and optimiser.

    Args:
        runner: runner of the training, whose model, optimiser and schedulers are built.
        checkpoint: content of the checkpoint.
        path: the checkpoint, for messages.

    Returns:
        Lines about what goes on, but not as one may expect: another recipe's name, a schedule that has ended, no
        seed, or no step left.

    Raises:
        UserError: the checkpoint holds weights alone, is of another recipe, or has a recipe that would be run.
    """
    missing = [key for key in ("state_dict", "optimizer", "meta") if key not in checkpoint]
    if missing:
        raise UserError(
            f"--resume: {path} has no {' and no '.join(missing)}, so no training can go on from it; expected a "
            "checkpoint that tools/train.py wrote"
        )
    if "config" in checkpoint["meta"]:
        # `Runner.resume` executes it as Python.
        raise UserError(f"--resume: {path} has the key meta.config, a recipe that resuming would run; it is refused")
    check_covering(unwrapped(runner.model), checkpoint, path)
    _check_optimizer(runner.optim_wrapper, checkpoint["optimizer"], path)
    return _surprises(runner, checkpoint, path)


def _check_optimizer(wrapper: OptimWrapper, state: dict, path: Path) -> None:
    if not hasattr(wrapper, "param_groups") or not isinstance(state.get("param_groups"), list):
        return
    ours, theirs = (
        [len(group["params"]) for group in groups] for groups in (wrapper.optimizer.param_groups, state["param_groups"])
    )
    if ours != theirs:
        raise UserError(
            f"--resume: {path} is of another recipe, its optimiser has {len(theirs)} groups of {sum(theirs)} "
            f"parameters, this one's {len(ours)} of {sum(ours)}"
        )


def _surprises(runner: Runner, checkpoint: dict, path: Path) -> list[str]:
    lines, meta = [], checkpoint["meta"]
    name = str(meta.get("experiment_name", "")).rpartition("_")[0].rpartition("_")[0]
    if name and runner.cfg.filename and name != Path(runner.cfg.filename).stem:
        lines.append(f"{path} was made with the recipe {name}: optimiser and schedules go on as there")
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    unit, length = ("epoch", runner.max_epochs) if by_epoch else ("iter", runner.max_iters)
    if meta.get(unit, 0) >= length:
        done = f"{path} is at {unit} {meta[unit]} of {length} already"
        lines.append(f"{done}: nothing is trained, its last validation is repeated")
    if runner.cfg.get("randomness", {}).get("seed") is None:
        lines.append("the recipe has no randomness.seed: what is drawn at random is not that of an undisturbed run")
    for ours, theirs in zip(runner.param_schedulers or [], checkpoint.get("param_schedulers") or [], strict=False):
        end = theirs.get("end") if isinstance(theirs, dict) else None
        if end is not None and end < ours.end:
            lines.append(
                f"a schedule of {path} ends at {end}, the recipe's at {ours.end}: rates go on as in the checkpoint"
            )
    return lines
