"""From a command line to an mmengine runner; what tools/train.py and tools/test.py share."""

import argparse
import copy
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from ponderv2 import compat
from ponderv2.checkpoints import resolve_checkpoint

from .allocator import keep_freed_memory
from .test_time_augmentation import with_tta


def parse_arguments(description: str, train: bool) -> argparse.Namespace:
    """Arguments of tools/train.py (`train`) or tools/test.py."""
    parser = argparse.ArgumentParser(description=description)
    add_common_arguments(parser)
    if not train:
        parser.add_argument("checkpoint", type=Path, help="checkpoint, work_dir/last_checkpoint, or the work dir")
        parser.add_argument("--tta", action="store_true", help="test-time augmentation, of a recipe that has it")
    parser.add_argument("--work-dir", type=Path, help="logs and checkpoints; default work_dirs/<config name>")
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    # torchrun hands it over on older versions; the environment says the same.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    if train:
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
    """Recipe, data folder and changes: what every tool that reads data takes."""
    parser.add_argument("config", type=Path, help="recipe, a file under configs/")
    parser.add_argument("--data-root", type=Path, help="folder of the data, for all data sets and metrics")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        default={},
        help="changes to the recipe: key=value, with dots",
    )


def load_config(path: Path, data_root: Path | None = None, options: dict | None = None) -> Config:
    """The recipe with the data folder and changes put in.

    Raises:
        FileNotFoundError: when the recipe or the data folder does not exist.
    """
    compat.install()
    if not path.is_file():
        raise FileNotFoundError(f"recipe {path} does not exist")
    config = Config.fromfile(str(path))
    if options:
        config.merge_from_dict(options)
    if data_root is not None:
        if not data_root.is_dir():
            raise FileNotFoundError(f"--data-root {data_root} is not a folder")
        set_data_root(config, str(data_root))
    return config


def set_data_root(config: object, root: str) -> None:
    """Put `root` in place of every `data_root` at any depth of a recipe: data sets, databases, metrics."""
    if isinstance(config, list | tuple):
        for item in config:
            set_data_root(item, root)
        return
    if not isinstance(config, Config | dict):
        return
    for key in list(config.keys()):
        if key == "data_root":
            config[key] = root
        else:
            set_data_root(config[key], root)


def build_runner(args: argparse.Namespace, train: bool) -> Runner:
    """A runner for the arguments of `parse_arguments`.

    Raises:
        SystemExit: for `--amp` on a machine without CUDA.
    """
    keep_freed_memory()
    config = load_config(args.config, args.data_root, args.cfg_options)
    config.launcher = args.launcher
    config.work_dir = str(args.work_dir or config.get("work_dir") or Path("work_dirs") / args.config.stem)
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
    return Runner.from_cfg(config)


def _use_amp(config: Config) -> None:
    if not torch.cuda.is_available():
        raise SystemExit("--amp needs CUDA; on the CPU train without it")
    wrapper = copy.deepcopy(config.optim_wrapper)
    wrapper["type"] = "AmpOptimWrapper"
    wrapper.setdefault("loss_scale", "dynamic")
    config.optim_wrapper = wrapper
