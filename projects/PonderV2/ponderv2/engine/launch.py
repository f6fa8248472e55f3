"""From a command line to an mmengine runner, for tools/train.py and tools/test.py."""

import argparse
import copy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ponderv2 import compat
from ponderv2.checkpoints import check_resumable, read_covering_weights, resolve_checkpoint
from ponderv2.errors import UserError

from .allocator import keep_freed_memory
from .hooks import DetectionPreviewHook
from .recipe_datasets import set_data_root
from .recipe_errors import recipe_errors
from .recipe_options import change_recipe, parse_options
from .test_time_augmentation import with_tta


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
        raise FileNotFoundError(f"recipe {path} does not exist")
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
    """
    runner = build_trainer(args)
    with recipe_errors(args.config, "cannot be built"):
        # As `Runner.train` builds them, which would do it after saying that training starts.
        runner.train_loop  # noqa: B018
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.val_loop  # noqa: B018
    if args.resume:
        check_resumable(_model(runner), Path(runner.cfg.load_from))
    runner.train()


def test(args: argparse.Namespace) -> dict[str, float]:
    """Evaluate as the command line of tools/test.py says; returns the metrics.

    Raises:
        UserError: what the command line names cannot be evaluated, or the checkpoint is not of this recipe.
    """
    runner = build_tester(args)
    with recipe_errors(args.config, "cannot be built"):
        runner.test_loop  # noqa: B018
    read_covering_weights(_model(runner), Path(runner.cfg.load_from))
    return runner.test()


def build_trainer(args: argparse.Namespace) -> Runner:
    """Build the runner of a training.

    Raises:
        UserError: the recipe cannot be built, `--amp` is given without CUDA, or `--resume` and there is no checkpoint.
    """
    keep_freed_memory()
    config = load_config(args.config, args.data_root, parse_options(args.cfg_options), args.scratch)
    _place(config, args, args.config.stem + ("_scratch" if args.scratch else ""))
    if args.amp:
        _use_amp(config)
    if args.resume:
        config.resume = True
        config.load_from = str(_checkpoint_to_resume(args.resume, Path(config.work_dir)))
    with recipe_errors(args.config, "cannot be built"):
        return Runner.from_cfg(config)


def build_tester(args: argparse.Namespace) -> Runner:
    """Build the runner of an evaluation.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        UserError: the recipe cannot be built, or has no test-time augmentation that is asked for.
    """
    keep_freed_memory()
    config = load_config(args.config, args.data_root, parse_options(args.cfg_options))
    _place(config, args, args.config.stem)
    config.load_from = str(resolve_checkpoint(args.checkpoint))
    if args.tta:
        config = with_tta(config)
    with recipe_errors(args.config, "cannot be built"):
        runner = Runner.from_cfg(config)
    if args.draw is not None:
        runner.register_hook(DetectionPreviewHook(args.draw))
    return runner


def _place(config: Config, args: argparse.Namespace, name: str) -> None:
    """Say where and in how many processes the recipe runs."""
    config.launcher = args.launcher
    config.work_dir = str(args.work_dir or config.get("work_dir") or Path("work_dirs") / name)
    if not torch.cuda.is_available() and args.launcher != "none":
        config.setdefault("env_cfg", {})["dist_cfg"] = {"backend": "gloo"}


def _checkpoint_to_resume(resume: str, work_dir: Path) -> Path:
    if resume != "auto":
        return resolve_checkpoint(Path(resume))
    if not (work_dir / "last_checkpoint").is_file():
        raise UserError(
            f"--resume: {work_dir} has no last_checkpoint to go on from; name a checkpoint, or leave out --resume to "
            "start anew"
        )
    return resolve_checkpoint(work_dir)


def _model(runner: Runner) -> torch.nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _use_amp(config: Config) -> None:
    if not torch.cuda.is_available():
        raise UserError("--amp needs CUDA; on the CPU train without it")
    wrapper = copy.deepcopy(config.optim_wrapper)
    wrapper["type"] = "AmpOptimWrapper"
    wrapper.setdefault("loss_scale", "dynamic")
    config.optim_wrapper = wrapper
