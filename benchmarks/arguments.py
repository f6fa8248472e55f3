"""Arguments of the benchmarks. Nothing heavy is imported here, so that `--help` answers at once."""

import argparse
from pathlib import Path

from ponderv2.command_line import add_device_argument, existing_file, existing_folder, positive, share

RENDER_WAYS = ("reference", "eager", "compiled")
INFO_PARTS = ("infos", "database")
INFO_WAYS = ("list", "store, first start", "store")
LIFT_WAYS = ("outer product", "splat", "pull")


def add_render_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tools/benchmark.py render`; the defaults are the published size."""
    parser.add_argument("--rays", type=positive, default=3072, help="rays of a sample: 6 cameras × 512")
    parser.add_argument(
        "--samples", type=positive, default=96, help="samples of a ray, three quarters of them proposals"
    )
    parser.add_argument("--channels", type=positive, default=32, help="channels of the volume of 5×180×180 cells")
    parser.add_argument("--hidden", type=positive, default=16, help="width of the perceptrons")
    parser.add_argument("--batch", type=positive, default=1)
    parser.add_argument("--repeats", type=positive, default=5, help="rounds; the median of each way counts")
    add_device_argument(parser)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out (a minute on a CPU)")
    parser.add_argument("--only", choices=RENDER_WAYS, help=argparse.SUPPRESS)


def add_lidar_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tools/benchmark.py lidar`."""
    parser.add_argument(
        "--sweep",
        type=existing_file("sweep"),
        help="file of float32 (x, y, z, intensity, ring), as of nuScenes; the default is a random sweep",
    )
    parser.add_argument("--ratio", type=share, default=0.8, help="share of hidden voxel blocks")
    parser.add_argument("--repeats", type=positive, default=5, help="pairs of measurements; the median counts")
    parser.add_argument(
        "--sparse-only", action="store_true", help="leave out the encoder with SECOND3D (minutes on a CPU)"
    )
    add_device_argument(parser)


def add_lift_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tools/benchmark.py lift`; the defaults are the published size."""
    parser.add_argument("--cameras", type=positive, default=6)
    parser.add_argument(
        "--channels", type=positive, default=256, help="channels of the features and of the 5×180×180 volume"
    )
    parser.add_argument("--batch", type=positive, default=1)
    parser.add_argument("--repeats", type=positive, default=5, help="rounds; the median of each way counts")
    add_device_argument(parser)
    parser.add_argument("--only", choices=LIFT_WAYS, help=argparse.SUPPRESS)


def add_step_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tools/benchmark.py step`."""
    parser.add_argument("config", type=existing_file("recipe"), help="a recipe of configs/")
    parser.add_argument("--data-root", type=existing_folder("folder"), required=True, help="data of the recipe")
    parser.add_argument(
        "--variation",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "KEY=VALUE"),
        help="a changed way, such as: float32 optim_wrapper.precision=float32; may be given several times",
    )
    parser.add_argument(
        "--before",
        type=existing_folder("folder"),
        metavar="DIR",
        help="another checkout, whose code and recipe are measured as well and come first",
    )
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--repeats", type=positive, default=10, help="rounds; the median of each way counts")
    parser.add_argument("--warm-up", type=positive, default=3, help="rounds before them that do not count")


def add_busy_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tools/benchmark.py busy`."""
    parser.add_argument("config", type=existing_file("recipe"), help="a recipe of configs/")
    parser.add_argument("--data-root", type=existing_folder("folder"), required=True, help="data of the recipe")
    parser.add_argument("--processes", type=positive, default=2, help="busy processes beside a training")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--repeats", type=positive, default=10, help="pairs of a quiet and a busy step")
    parser.add_argument("--warm-up", type=positive, default=2, help="steps before them that do not count")


def add_loading_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tools/benchmark.py loading`."""
    parser.add_argument("--data-root", type=existing_folder("folder"), required=True, help="folder of nuScenes")
    parser.add_argument(
        "--ann-file",
        default="nuscenes_infos_train.pkl",
        help="its info file, or nuscenes_infos_keyframe.pkl (%(default)s)",
    )
    parser.add_argument("--repeats", type=positive, default=15, help="rounds; the median of their ratios counts")


def add_infos_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tools/benchmark.py infos`; the defaults are nuScenes' training set."""
    parser.add_argument(
        "--frames", type=positive, default=28130, help="key frames, with 10 sweeps and about 35 boxes each"
    )
    parser.add_argument("--parts", nargs="+", choices=INFO_PARTS, default=INFO_PARTS)
    parser.add_argument("--ranks", type=positive, nargs="+", default=[1, 4], help="numbers of processes")
    parser.add_argument("--ways", nargs="+", choices=INFO_WAYS, default=INFO_WAYS)
    parser.add_argument("--folder", type=Path, help="folder that keeps the random files, 1.3 GB, for other runs")
