"""Arguments of the studies. Nothing heavy is imported here, so that `--help` answers at once."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ponderv2.command_line import (
    add_device_argument,
    add_recipe_arguments,
    existing_file,
    existing_folder,
    key_value,
    non_negative,
    positive,
    share,
)

MODALITIES = ("camera", "lidar", "fusion")
LARGEST_SEED = 2**32 - 1
"""What numpy's generators take."""
SCRATCH = "scratch"
"""Stands for the baseline without pre-training where a linear probe takes an encoder."""
CONSTANT_PART, RANDOM_FROZEN, ALL_LABELS, POINTS = "constant", "random_frozen", "all_labels", "points_alone"
LINEAR_PROBE, DECODER_PROBE, FINETUNE = "linear_probe", "decoder_probe", "finetune"
PROTOCOLS = (LINEAR_PROBE, DECODER_PROBE, FINETUNE)
"""How a segmentor is trained on an encoder: a classifier alone, the decoder of a U-Net as well, or everything."""
BASELINES = (CONSTANT_PART, POINTS, RANDOM_FROZEN, ALL_LABELS)
"""Parts of the blind baselines, in the order in which they are run."""


def add_probe_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tools/linear_probe.py."""
    add_recipe_arguments(parser)
    parser.add_argument(
        "--encoders",
        nargs="+",
        required=True,
        help=f"encoder.safetensors or checkpoints; {SCRATCH!r}: the baseline without pre-training",
    )
    parser.add_argument(
        "--free-cells", type=positive, default=2000, help="cells in no object, a frame (default %(default)s)"
    )
    parser.add_argument("--frames", type=positive, default=200, help="of either set, at most (default %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="of scratch encoders and of the choice of cells")
    parser.add_argument("--json", type=Path, help="also write the numbers")
    add_device_argument(parser)


def add_velocity_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tools/velocity_errors.py."""
    parser.add_argument("submissions", nargs="+", type=existing_file("submission"), help="results_nusc.json of models")
    parser.add_argument("--data-root", type=existing_folder("folder"), required=True, help="folder of the data")
    parser.add_argument("--ann-file", default="nuscenes_infos_val.pkl", help="info file (default %(default)s)")
    parser.add_argument("--class", dest="name", default="car", help="class of the boxes (default %(default)s)")
    parser.add_argument(
        "--min-score", type=share, default=0.0, help="boxes with a lower score are left out (by default none)"
    )
    parser.add_argument("--with-past", action="store_true", help="only frames that have another of their scene before")
    parser.add_argument("--json", type=Path, help="also write the numbers")


def add_constant_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `python -m studies.constant_predictor`."""
    add_recipe_arguments(parser)
    parser.add_argument("--json", type=Path, help="also write all scores")


def add_baseline_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tools/blind_baselines.py."""
    parser.add_argument("--data-root", type=existing_folder("folder"), required=True, help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, where interrupted ones go on")
    parser.add_argument("--json", type=Path, required=True, help="file that the scores are merged into")
    parser.add_argument("--only", nargs="+", choices=BASELINES, default=BASELINES, help="default all")
    parser.add_argument("--modalities", nargs="+", choices=("camera", "lidar"), default=["camera", "lidar"])
    parser.add_argument(
        "--fraction",
        type=share,
        default=0.1,
        help="labelled frames of the constant predictor and of the classifier of points (default %(default)s)",
    )
    parser.add_argument(
        "--frozen-fractions",
        nargs="+",
        type=share,
        default=[1.0],
        help="shares for heads on frozen random encoders; default 1, the labels of what is trained beside them",
    )
    parser.add_argument("--seeds", nargs="+", type=seed, default=[0])
    parser.add_argument("--head-steps", type=positive, default=1000, help="of the head alone (default %(default)s)")
    parser.add_argument(
        "--full-steps",
        type=positive,
        default=1000,
        help="of everything after them, of the head where the encoder is frozen (default %(default)s)",
    )
    paths = {"nargs": "+", "type": _pair, "default": [], "metavar": "MODALITY=PATH"}
    parser.add_argument(
        "--config",
        **paths,
        help="detector recipe with a warm-up of the head; default configs/tiny/center_MODALITY_synthetic_head_first.py",
    )
    parser.add_argument(
        "--pretrained", **paths, help="encoder that everything trained on all labels starts from; default from scratch"
    )
    parser.add_argument(
        "--cfg-options", nargs="+", type=key_value, default=[], metavar="KEY=VALUE", help="changes to the detectors"
    )


def seed(text: str) -> int:
    """Read a seed that numpy's generators take."""
    value = non_negative(text)
    if value > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"expected a seed of at most {LARGEST_SEED}, got {text!r}")
    return value


def _pair(text: str) -> tuple[str, Path]:
    return path_of(text, "MODALITY", MODALITIES)


def path_of(text: str, kind: str, names: Sequence[str]) -> tuple[str, Path]:
    """Read `NAME=PATH` with one of some names."""
    name, equals, path = text.partition("=")
    if name not in names or not equals or not path:
        raise argparse.ArgumentTypeError(f"expected {kind}=PATH with one of {', '.join(names)}, got {text!r}")
    return name, Path(path)
