"""From a command line to an mmengine runner, for tools/train.py and tools/test.py."""

import argparse
import copy
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import Runner

from ponderv2 import compat
from ponderv2.atomic_files import remove_unfinished
from ponderv2.checkpoints import check_covering, checkpoint_to_resume, resolve_checkpoint, set_earlier_run_aside
from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.devices import computes_bfloat16
from ponderv2.errors import UserError, near_path
from ponderv2.folder_lock import folder_lock
from ponderv2.models import LidarSegmentor

from .allocator import keep_freed_memory
from .converted_options import ENCODER, WHOLE, kept_options, options_of, read_options, tell_of_options
from .held_log import BuildingRunner
from .hooks import DetectionPreviewHook, KeptOptionsHook, SegmentationPreviewHook
from .precision import PrecisionOptimWrapper, allow_tf32
from .recipe_datasets import refuse_stock_dataset, set_data_root
from .recipe_errors import must_have, recipe_errors
from .recipe_loaders import set_loaders
from .recipe_options import change_recipe, parse_options
from .resuming import check_resumable
from .schedule_checks import check_schedules
from .step_batch import scale_of_steps, tell_of_batch
from .test_time_augmentation import with_tta
from .unwrapping import unwrapped

_LAUNCHERS = {
    "pytorch": ("torchrun --nproc-per-node N", "RANK"),
    "slurm": ("srun", "SLURM_PROCID"),
    "mpi": ("mpirun", "OMPI_COMM_WORLD_LOCAL_RANK"),
}
"""What starts the processes of each launcher, and a variable by which it is known."""


def load_config(
    path: Path, data_root: Path | None = None, options: dict | None = None, scratch: bool = False
) -> Config:
    """Load a recipe and put the data folder and changes into it.

    Args:
        path: the recipe, a file under `configs/`.
        data_root: folder that takes the place of every `data_root` in the recipe.
        options: changes by key, with dots; they come after those of `scratch`.
        scratch: apply the changes that the recipe's `scratch` names: the baseline without pre-training.

    Raises:
        FileNotFoundError: the recipe or the data folder does not exist.
        UserError: the recipe cannot be read, lacks a key that is changed, or names no baseline that is asked for.
    """
    compat.install()
    if not path.is_file():
        raise FileNotFoundError(f"recipe {path} does not exist{near_path(path)}")
    if path.suffix != ".py":
        raise UserError(f"recipe {path}: expected a file of Python, .py")
    with recipe_errors(path, "cannot be read"):
        config = Config.fromfile(str(path))
    if scratch:
        if "scratch" not in config:
            raise UserError(f"--scratch: {path} names no baseline; recipes of detectors do, as scratch = {{...}}")
        config.merge_from_dict(dict(config.scratch))
    if options:
        change_recipe(config, options)
    if data_root is not None:
        if not data_root.is_dir():
            raise FileNotFoundError(f"--data-root {data_root} is not a folder")
        set_data_root(config, str(data_root))
    return config


def train(args: argparse.Namespace) -> None:
    """Train as the command line of tools/train.py says.

    Raises:
        UserError: what the command line names cannot be trained, or not be resumed; nothing has been trained then.
        FolderInUseError: another training is at work in the work dir.
    """
    config = training_config(args)
    with ExitStack() as stack:
        if _is_first_rank():
            lock = folder_lock(Path(config.work_dir), ".train.lock", "training", "--work-dir")
            stack.enter_context(lock)
            # Of a training that was killed while it wrote a checkpoint.
            remove_unfinished(Path(config.work_dir))
            _tell_of_earlier_run(config)
        with recipe_errors(args.config, "cannot be built", args.cfg_options):
            runner = BuildingRunner.from_cfg(config)
        prepare_training(runner, args.config, args.cfg_options)
        options = _check_weights(runner) if config.get("load_from") else _options_of_start(config)
        runner.register_hook(KeptOptionsHook(options))
        runner.tell()
        if _is_first_rank() and not config.get("resume"):
            set_earlier_run_aside(Path(config.work_dir))
        runner.train()


def test(args: argparse.Namespace) -> dict[str, float]:
    """Evaluate as the command line of tools/test.py says; returns the metrics.

    Raises:
        UserError: what the command line names cannot be evaluated, or the checkpoint is not of this recipe.
    """
    runner = build_tester(args)
    with recipe_errors(args.config, "cannot be built", args.cfg_options):
        runner.test_loop  # noqa: B018
    _check_weights(runner)
    runner.tell()
    return runner.test()


def training_config(args: argparse.Namespace) -> Config:
    """Return the recipe of a training, with all that its command line says.

    Raises:
        UserError: the recipe lacks what a training needs, `--amp` is given on a device without half precision, or the
            training is to resume and there is no checkpoint.
    """
    keep_freed_memory()
    config = load_config(args.config, args.data_root, parse_options(args.cfg_options), args.scratch)
    must_have(config, ("model", "train_dataloader", "optim_wrapper", "train_cfg"), "train")
    refuse_stock_dataset(config.train_dataloader, config.filename)
    _place(config, args, args.config.stem + ("_scratch" if args.scratch else ""))
    if args.amp:
        _use_amp(config)
    # Both may also be set by the recipe, or by --cfg-options.
    resume = args.resume or (config.get("resume") and (config.get("load_from") or "auto"))
    if resume:
        config.resume = True
        config.load_from = str(_checkpoint_to_resume(resume, Path(config.work_dir)))
    return config


def prepare_training(runner: Runner, recipe: Path, changes: Sequence[str] = ()) -> None:
    """Build what a training builds before its first step, so that errors of the recipe come before anything starts.

    It is built as `Runner.train` does, which finds it built.

    Args:
        runner: runner of a recipe.
        recipe: the recipe, for messages.
        changes: changes to it from the command line, for messages.

    Raises:
        UserError: something cannot be built, or the training would have no step.
    """
    with recipe_errors(recipe, "cannot be built", changes):
        loop = runner.train_loop
        for name in ("max_iters", "max_epochs", "val_interval"):
            if getattr(loop, f"_{name}", getattr(loop, name, 1)) < 1:
                raise UserError(f"recipe {recipe}: train_cfg.{name} is below 1, so nothing would be trained")
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        if runner.rank == 0:
            tell_of_batch(runner)
        # Schedulers note the rates they start from, so these are scaled before; and only once.
        runner.scale_lr(runner.optim_wrapper, scale_of_steps(runner))
        runner.auto_scale_lr = None
        if runner.param_schedulers is not None:
            runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        runner.val_loop  # noqa: B018
    check_schedules(runner, recipe)


def build_tester(args: argparse.Namespace) -> BuildingRunner:
    """Build the runner of an evaluation; what it has to tell the terminal waits for its `tell`.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        UserError: the recipe cannot be built, or has no test-time augmentation that is asked for.
    """
    keep_freed_memory()
    config = load_config(args.config, args.data_root, parse_options(args.cfg_options))
    must_have(config, ("model", "test_dataloader", "test_evaluator"), "evaluate")
    refuse_stock_dataset(config.test_dataloader, config.filename)
    _place(config, args, args.config.stem)
    config.load_from = str(resolve_checkpoint(args.checkpoint))
    if args.tta:
        config = with_tta(config)
    with recipe_errors(args.config, "cannot be built", args.cfg_options):
        runner = BuildingRunner.from_cfg(config)
    if args.draw is not None:
        segments = isinstance(unwrapped(runner.model), LidarSegmentor)
        runner.register_hook((SegmentationPreviewHook if segments else DetectionPreviewHook)(args.draw))
    return runner


def _place(config: Config, args: argparse.Namespace, name: str) -> None:
    """Say where, in how many processes and with which products of float32 the recipe runs."""
    starts, variable = _LAUNCHERS.get(args.launcher, ("", None))
    if variable is not None and variable not in os.environ:
        raise UserError(f"--launcher {args.launcher}: expected to be started by {starts}, which sets {variable}")
    allow_tf32(config.get("env_cfg", {}).get("tf32", True))
    config.launcher = args.launcher
    config.work_dir = str(args.work_dir or config.get("work_dir") or Path("work_dirs") / name)
    for evaluator in (config.get("val_evaluator"), config.get("test_evaluator")):
        for metric in evaluator if isinstance(evaluator, list | tuple) else [evaluator or {}]:
            if isinstance(metric.get("submission_dir"), str):
                metric["submission_dir"] = metric["submission_dir"].replace("{work_dir}", config.work_dir)
    set_loaders(config)
    if not torch.cuda.is_available() and args.launcher != "none":
        environment = config.setdefault("env_cfg", {})
        environment["dist_cfg"] = {**(environment.get("dist_cfg") or {}), "backend": "gloo"}


def _is_first_rank() -> bool:
    # Before the runner is built, mmengine does not know its rank yet.
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0) == 0


def _tell_of_earlier_run(config: Config) -> None:
    last = Path(config.work_dir) / "last_checkpoint"
    if not config.get("resume") and last.is_file():
        print(
            f"{config.work_dir} has a run already ({Path(last.read_text().strip()).name}), whose checkpoints are "
            "replaced; --resume instead would go on with it, another --work-dir keep it. last_checkpoint becomes "
            "last_checkpoint.earlier when the training starts",
            flush=True,
        )


def _options_of_start(config: Config) -> list[str]:
    """Tell of the settings of the file that the model takes its first weights from; returns those of the recipe."""
    start = config.model.get("init_cfg") or {}
    # The first rank alone prints, and writes checkpoints.
    if not start.get("checkpoint") or not _is_first_rank():
        return []
    path, beginnings = Path(start["checkpoint"]), WHOLE if start.get("head") else ENCODER
    options = read_options(path)
    tell_of_options(path, options, config, beginnings)
    return kept_options(config, options, beginnings)


def _check_weights(runner: Runner) -> list[str]:
    """Refuse a checkpoint from which the runner cannot go on, and tell of its settings; returns those of the recipe."""
    path, resumes = Path(runner.cfg.load_from), runner.cfg.get("resume")
    checkpoint = load_checkpoint_file(path)
    told = check_resumable(runner, checkpoint, path) if resumes else []
    print(*told, sep="\n", end="\n" if told else "", flush=True)
    if not resumes:
        check_covering(unwrapped(runner.model), checkpoint, path)
    options = options_of(checkpoint)
    if _is_first_rank():
        tell_of_options(path, options, runner.cfg)
    return kept_options(runner.cfg, options)


def _checkpoint_to_resume(resume: str, work_dir: Path) -> Path:
    if resume != "auto":
        return resolve_checkpoint(Path(resume))
    if not (work_dir / "last_checkpoint").is_file():
        raise UserError(
            f"--resume: {work_dir} has no last_checkpoint to go on from; name a checkpoint, or leave out --resume to "
            "start anew"
        )
    found = checkpoint_to_resume(work_dir)
    if found is None:
        raise UserError(f"--resume: {work_dir} has no whole checkpoint to go on from; leave out --resume to start anew")
    named = Path((work_dir / "last_checkpoint").read_text().strip()).name
    if named != found.name and _is_first_rank():
        state = "is torn" if (work_dir / named).is_file() and named else "does not exist"
        print(
            f"warning: {work_dir}/last_checkpoint names {named or 'nothing'}, which {state}: goes on from {found.name}",
            flush=True,
        )
    return found


def _use_amp(config: Config) -> None:
    wrapper = copy.deepcopy(config.optim_wrapper)
    wrapper.pop("precision", None)
    if computes_bfloat16(get_device()):
        wrapper["type"] = PrecisionOptimWrapper
        wrapper["precision"] = "bfloat16"
    elif torch.cuda.is_available():
        wrapper["type"] = "AmpOptimWrapper"
        wrapper.setdefault("loss_scale", "dynamic")
    else:
        raise UserError("--amp needs CUDA or a CPU with AVX512-BF16 or AMX; on this one train without it")
    config.optim_wrapper = wrapper
