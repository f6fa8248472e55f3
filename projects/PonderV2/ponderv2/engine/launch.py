"""From a command line to an mmengine runner, for tools/train.py and tools/test.py."""

import argparse
import copy
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from ponderv2 import compat
from ponderv2.checkpoints import resolve_checkpoint

from .allocator import keep_freed_memory
from .hooks import DetectionPreviewHook
from .recipe_datasets import set_data_root
from .test_time_augmentation import with_tta


def parse_arguments(description: str, train: bool) -> argparse.Namespace:
    """Parse the command line of tools/train.py or tools/test.py.

    Args:
        description: description of the tool, for `--help`.
        train: True for tools/train.py, False for tools/test.py.
    """
    parser = argparse.ArgumentParser(description=description)
    add_common_arguments(parser)
    if not train:
        parser.add_argument("checkpoint", type=Path, help="checkpoint, work_dir/last_checkpoint, or the work dir")
        parser.add_argument("--tta", action="store_true", help="test-time augmentation, of a recipe that has it")
        parser.add_argument("--draw", type=Path, metavar="DIR", help="pictures of the boxes in the first frames")
    parser.add_argument(
        "--work-dir",
        type=Path,
        help="logs and checkpoints; default work_dirs/<config name>, with --scratch …_scratch",
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    # Older versions of torchrun pass this rank; it is also in the environment, where mmengine reads it.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    if train:
        add_scratch_argument(parser)
        parser.add_argument("--amp", action="store_true", help="automatic mixed precision (CUDA)")
        parser.add_argument(
            "--resume",
            nargs="?",
            const="auto",
            metavar="CHECKPOINT",
            help="go on from a checkpoint; without a name from the last one in the work dir",
        )
    return parser.parse_args()


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every tool that reads data: recipe, data folder, and changes to the recipe."""
    parser.add_argument("config", type=Path, help="recipe, a file under configs/")
    parser.add_argument("--data-root", type=Path, help="folder of the data, for all data sets and metrics")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        default={},
        help="changes to the recipe: key=value, with dots",
    )


def add_scratch_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--scratch`, which trains the baseline that a recipe names."""
    parser.add_argument("--scratch", action="store_true", help="the recipe's baseline without pre-training")


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
        FileNotFoundError: when the recipe or the data folder does not exist.
        ValueError: when the baseline is asked of a recipe that names none.
    """
    compat.install()
    if not path.is_file():
        raise FileNotFoundError(f"recipe {path} does not exist")
    config = Config.fromfile(str(path))
    if scratch:
        if "scratch" not in config:
            raise ValueError(f"--scratch: {path} names no baseline; recipes of detectors do, as scratch = {{...}}")
        config.merge_from_dict(dict(config.scratch))
    if options:
        config.merge_from_dict(options)
    if data_root is not None:
        if not data_root.is_dir():
            raise FileNotFoundError(f"--data-root {data_root} is not a folder")
        set_data_root(config, str(data_root))
    return config


def build_runner(args: argparse.Namespace, train: bool) -> Runner:
    """Build the runner of a command line.

    Args:
        args: arguments of `parse_arguments`.
        train: True to train, False to test.

    Raises:
        SystemExit: when `--amp` is given on a machine without CUDA.
    """
    keep_freed_memory()
    if not train and args.draw is not None:
        # Before the model is built, which takes longer.
        args.draw.mkdir(parents=True, exist_ok=True)
    config = load_config(args.config, args.data_root, args.cfg_options, train and args.scratch)
    config.launcher = args.launcher
    name = args.config.stem + ("_scratch" if train and args.scratch else "")
    config.work_dir = str(args.work_dir or config.get("work_dir") or Path("work_dirs") / name)
    if not torch.cuda.is_available() and args.launcher != "none":
        config.setdefault("env_cfg", {})["dist_cfg"] = {"backend": "gloo"}
    if train:
        if args.amp:
            _use_amp(config)
        if args.resume:
            config.resume = True
            config.load_from = None if args.resume == "auto" else str(resolve_checkpoint(Path(args.resume)))
    else:
        config.load_from = str(resolve_checkpoint(args.checkpoint))
        if args.tta:
            config = with_tta(config)
    runner = Runner.from_cfg(config)
    if not train and args.draw is not None:
        runner.register_hook(DetectionPreviewHook(args.draw))
    return runner


def _use_amp(config: Config) -> None:
    if not torch.cuda.is_available():
        raise SystemExit("--amp needs CUDA; on the CPU train without it")
    wrapper = copy.deepcopy(config.optim_wrapper)
    wrapper["type"] = "AmpOptimWrapper"
    wrapper.setdefault("loss_scale", "dynamic")
    config.optim_wrapper = wrapper
