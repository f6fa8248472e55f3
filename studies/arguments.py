"""Arguments of the studies. Nothing heavy is imported here, so that `--help` answers at once."""

import argparse
import re
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
TAKEN = (SCRATCH, "protocol", "fraction", "metric", "n", "recipe", "steps")
"""Keys of a row of a segmentation study that are no pre-training."""
BASELINES = (CONSTANT_PART, POINTS, RANDOM_FROZEN, ALL_LABELS)
"""Parts of the blind baselines, in the order in which they are run."""


def add_study_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tools/transfer_study.py."""
    parser.add_argument("--data-root", type=existing_folder("folder"), required=True, help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and of the report")
    parser.add_argument("--modalities", nargs="+", choices=MODALITIES, default=["camera", "lidar"])
    parser.add_argument("--fractions", nargs="+", type=share, default=[0.1, 0.25], help="shares of the labelled frames")
    parser.add_argument("--seeds", nargs="+", type=_seed, default=[0, 1, 2])
    pairs = {"nargs": "+", "type": _pair, "default": [], "metavar": "MODALITY=PATH"}
    parser.add_argument("--config", **pairs, help="detector recipe; default configs/tiny/uvtr_<modality>_synthetic.py")
    parser.add_argument("--pretrained", **pairs, help="encoder.safetensors or checkpoint; otherwise one is made first")
    parser.add_argument(
        "--pretrain-config", **pairs, help="recipe that makes it; default configs/tiny/ponderv2_<modality>_synthetic.py"
    )
    options = {"nargs": "+", "type": key_value, "default": [], "metavar": "KEY=VALUE"}
    parser.add_argument("--cfg-options", **options, help="changes to the detectors")
    parser.add_argument("--pretrain-options", **options, help="changes to the pre-trainings")
    parser.add_argument("--dataset-key", help="where a detector recipe has the data set with `fraction`")
    parser.add_argument("--jobs", type=positive, default=1, help="trainings at a time, sharing the cores (default 1)")
    parser.add_argument("--gpus", type=positive, default=1, help="GPUs a training, with torchrun when more than one")


def add_segmentation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tools/segmentation_study.py."""
    parser.add_argument("--data-root", type=existing_folder("folder"), required=True, help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, where interrupted ones go on")
    parser.add_argument("--json", type=Path, help="file of the rows; default OUT/study.json")
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS))
    parser.add_argument(
        "--fractions",
        nargs="+",
        type=share,
        default=[0.01, 0.1, 1.0],
        help="shares of the labelled frames of fine-tuning (default 0.01 0.1 1)",
    )
    parser.add_argument(
        "--probe-fractions", nargs="+", type=share, default=[1.0], help="shares of the labelled frames of the probes"
    )
    parser.add_argument("--seeds", nargs="+", type=_seed, default=[0, 1, 2])
    parser.add_argument(
        "--pretrain-seeds",
        nargs="+",
        type=_seed,
        default=[],
        help="one for all seeds, or one for each; default that of the recipe",
    )
    parser.add_argument(
        "--config",
        nargs="+",
        type=_protocol_path,
        default=[],
        metavar="PROTOCOL=PATH",
        help="recipe of a protocol; default configs/tiny/lidarseg_unet_synthetic[_PROTOCOL].py",
    )
    arms = {"nargs": "+", "type": _named_path, "default": [], "metavar": "NAME=PATH"}
    parser.add_argument("--pretrained", **arms, help="encoder.safetensors or checkpoint; otherwise one is made first")
    parser.add_argument(
        "--pretrain-config",
        **arms,
        help="recipe that makes it; default pretrained=configs/tiny/ponderv2_lidar_unet_synthetic.py. Other names are "
        "compared in the same table, e.g. semantic=PATH",
    )
    parser.add_argument(
        "--cells",
        nargs="+",
        type=_cell,
        default=[],
        metavar="NAME=PROTOCOL:FRACTION",
        help="try a pre-training in these rows alone, e.g. semantic=finetune:0.1; those not named are tried in all",
    )
    options = {"nargs": "+", "type": key_value, "default": [], "metavar": "[NAME:]KEY=VALUE"}
    parser.add_argument(
        "--cfg-options", **options, help="changes to the segmentors, of all or of one protocol (finetune:KEY=VALUE)"
    )
    parser.add_argument("--pretrain-options", **options, help="changes to the pre-trainings, of all or of one name")
    parser.add_argument("--dataset-key", help="where a recipe has the data set with `fraction`")
    parser.add_argument(
        "--points-alone",
        choices=("every-seed", "first-seed", "no"),
        default="first-seed",
        help="seeds for which the blind baseline, a classifier of single points, is scored (default %(default)s)",
    )
    parser.add_argument("--jobs", type=positive, default=1, help="trainings at a time, sharing the cores (default 1)")
    parser.add_argument("--gpus", type=positive, default=1, help="GPUs a training, with torchrun when more than one")


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
    parser.add_argument("--seed", type=_seed, default=0, help="of scratch encoders and of the choice of cells")
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
    parser.add_argument("--seeds", nargs="+", type=_seed, default=[0])
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


def _seed(text: str) -> int:
    seed = non_negative(text)
    if seed > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"expected a seed of at most {LARGEST_SEED}, got {text!r}")
    return seed


def _pair(text: str) -> tuple[str, Path]:
    return _path_of(text, "MODALITY", MODALITIES)


def _protocol_path(text: str) -> tuple[str, Path]:
    return _path_of(text, "PROTOCOL", PROTOCOLS)


def _path_of(text: str, kind: str, names: Sequence[str]) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if name not in names or not equals or not path:
        raise argparse.ArgumentTypeError(f"expected {kind}=PATH with one of {', '.join(names)}, got {text!r}")
    return name, Path(path)


def _named_path(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not re.fullmatch("[a-z][a-z0-9]*", name) or name in TAKEN or not equals or not path:
        raise argparse.ArgumentTypeError(
            f"expected NAME=PATH with a name of small letters and digits, e.g. pretrained, none of {', '.join(TAKEN)}; "
            f"got {text!r}"
        )
    return name, Path(path)


def _cell(text: str) -> tuple[str, str, float]:
    name, _, cell = text.partition("=")
    protocol, _, fraction = cell.partition(":")
    if not name or protocol not in PROTOCOLS or not fraction:
        raise argparse.ArgumentTypeError(
            f"expected NAME=PROTOCOL:FRACTION with one of {', '.join(PROTOCOLS)}, got {text!r}"
        )
    return name, protocol, share(fraction)
