"""Arguments of the studies of named starts. Nothing heavy is imported here, so that `--help` answers at once."""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ponderv2.command_line import existing_file, existing_folder, key_value, positive, share

from .arguments import CONSTANT_PART, PROTOCOLS, SCRATCH, path_of, seed

FROZEN_REFERENCE = "frozen"
TAKEN = (
    SCRATCH,
    *("protocol", "model", "fraction", "metric", "n", "recipe", "steps"),
    *(CONSTANT_PART, FROZEN_REFERENCE),
)
"""Keys of a row of a study that are no pre-training."""
_NAME = "[a-z][a-z0-9]*"


def add_study_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tools/transfer_study.py."""
    _add_folders(parser)
    parser.add_argument("--models", nargs="+", type=_name, help="default those of --config, or camera lidar")
    parser.add_argument(
        "--fractions",
        nargs="+",
        type=_fraction,
        default=[("", 0.1), ("", 0.25)],
        metavar="[MODEL:]SHARE",
        help="shares of the labelled frames, of all models or of one that has its own (default 0.1 0.25)",
    )
    parser.add_argument("--seeds", nargs="+", type=seed, default=[0, 1, 2], help="of fine-tuning (default 0 1 2)")
    parser.add_argument(
        "--pretrain-seeds",
        nargs="+",
        type=seed,
        default=[],
        help="each of them is paired with each of --seeds (tools/segmentation_study.py pairs one for one); default one "
        "pre-training, with the seed of its recipe",
    )
    parser.add_argument(
        "--starts",
        nargs="+",
        type=_start,
        default=[("pretrained", "")],
        metavar="NAME[=OTHER]",
        help="pre-trainings to compare with scratch (default pretrained), or starts with the encoder of another one, "
        "or scratch, and changes of their own (--cfg-options NAME:KEY=VALUE); those of paths need no naming",
    )
    parser.add_argument(
        "--config",
        nargs="+",
        type=_model_path,
        default=[],
        metavar="MODEL=PATH",
        help="recipe of a detector or segmentor; default configs/tiny/uvtr_<model>_synthetic.py for camera, lidar and "
        "fusion",
    )
    starts = {"nargs": "+", "type": _start_path, "default": [], "metavar": "MODEL[:START]=PATH"}
    parser.add_argument(
        "--pretrained",
        **starts,
        help="encoder.safetensors, or a checkpoint such as a merged one; {seed} in it stands for the pre-training "
        "seed; otherwise an encoder is made first",
    )
    parser.add_argument(
        "--pretrain-config",
        **starts,
        help="recipe that makes it, of all --starts of a model or of one; default configs/tiny/"
        "ponderv2_<model>_synthetic.py for camera, lidar, fusion",
    )
    _add_cells(parser, "START=MODEL:FRACTION", "length250=camera:0.1", _cell_of())
    parser.add_argument(
        "--frozen", nargs="+", type=_name, default=[], metavar="MODEL", help="models whose encoder stays frozen"
    )
    parser.add_argument(
        "--encoder-rate",
        nargs="+",
        type=_rate,
        default=[],
        metavar="[NAME=]SHARE",
        help="learning rate of the encoder as a share of the head's, of all trainings, of a start, or of a model",
    )
    _add_options(parser, "the models, of all, of one, or of one start (slow:KEY=VALUE)")
    parser.add_argument(
        "--references",
        nargs="*",
        choices=(CONSTANT_PART, FROZEN_REFERENCE),
        default=[CONSTANT_PART, FROZEN_REFERENCE],
        help="what stands beside: boxes that see nothing, heads on frozen random encoders (default both)",
    )
    parser.add_argument(
        "--baselines", type=existing_file("file"), help="JSON of tools/blind_baselines.py, for rows beside the study's"
    )
    _add_run_arguments(parser)


def add_segmentation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tools/segmentation_study.py."""
    _add_folders(parser)
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
    parser.add_argument("--seeds", nargs="+", type=seed, default=[0, 1, 2])
    parser.add_argument(
        "--pretrain-seeds",
        nargs="+",
        type=seed,
        default=[],
        help="one for all --seeds, or one for each (tools/transfer_study.py pairs each with each); default that of the "
        "recipe",
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
    _add_cells(parser, "NAME=PROTOCOL:FRACTION", "semantic=finetune:0.1", _cell_of(PROTOCOLS))
    _add_options(parser, "the segmentors, of all or of one protocol (finetune:KEY=VALUE)")
    parser.add_argument(
        "--points-alone",
        choices=("every-seed", "first-seed", "no"),
        default="first-seed",
        help="seeds for which the blind baseline, a classifier of single points, is scored (default %(default)s)",
    )
    _add_run_arguments(parser)


def _add_folders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", type=existing_folder("folder"), required=True, help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, where interrupted ones go on")
    parser.add_argument("--json", type=Path, help="file of the rows; default OUT/study.json")


def _add_cells(parser: argparse.ArgumentParser, metavar: str, example: str, kind: Callable) -> None:
    parser.add_argument(
        "--cells",
        nargs="+",
        type=kind,
        default=[],
        metavar=metavar,
        help=f"try a pre-training in these rows alone, e.g. {example}; those not named are tried in all",
    )


def _add_options(parser: argparse.ArgumentParser, trained: str) -> None:
    options = {"nargs": "+", "type": key_value, "default": [], "metavar": "[NAME:]KEY=VALUE"}
    parser.add_argument("--cfg-options", **options, help=f"changes to {trained}")
    parser.add_argument("--pretrain-options", **options, help="changes to the pre-trainings, of all or of one name")


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset-key", help="where a recipe has the data set with `fraction`")
    parser.add_argument("--jobs", type=positive, default=1, help="trainings at a time, sharing the cores (default 1)")
    parser.add_argument("--plan", action="store_true", help="check and list all trainings, and run none")
    parser.add_argument("--gpus", type=positive, default=1, help="GPUs a training, with torchrun when more than one")


def _protocol_path(text: str) -> tuple[str, Path]:
    return path_of(text, "PROTOCOL", PROTOCOLS)


def _name(text: str) -> str:
    if not re.fullmatch(_NAME, text) or text in TAKEN:
        raise argparse.ArgumentTypeError(
            f"expected a name of small letters and digits, none of {', '.join(TAKEN)}; got {text!r}"
        )
    return text


def _named_path(text: str) -> tuple[str, Path]:
    return _path_by(text, "NAME=PATH", "e.g. pretrained", f"({_NAME})")


def _model_path(text: str) -> tuple[str, Path]:
    return _path_by(text, "MODEL=PATH", "e.g. camera", f"({_NAME})")


def _start_path(text: str) -> tuple[str, Path]:
    return _path_by(text, "MODEL[:START]=PATH", "e.g. camera, or camera:length250", f"({_NAME})(?::({_NAME}))?")


def _path_by(text: str, form: str, example: str, pattern: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    found = re.fullmatch(pattern, name)
    if not found or {*found.groups()} & {*TAKEN} or not equals or not path:
        raise argparse.ArgumentTypeError(
            f"expected {form} with a name of small letters and digits, {example}, none of {', '.join(TAKEN)}; "
            f"got {text!r}"
        )
    return name, Path(path)


def _start(text: str) -> tuple[str, str]:
    name, equals, other = text.partition("=")
    if equals and other != SCRATCH:
        _name(other)
    return _name(name), other


def _fraction(text: str) -> tuple[str, float]:
    name, colon, number = text.rpartition(":")
    return (_name(name) if colon else ""), share(number)


def _rate(text: str) -> tuple[str, float]:
    name, equals, number = text.rpartition("=")
    return (_name(name) if equals else ""), share(number)


def _cell_of(recipes: Sequence[str] | None = None) -> Callable[[str], tuple[str, str, float]]:
    """Make a reader of `NAME=RECIPE:FRACTION`, of recipes of some names."""

    def read(text: str) -> tuple[str, str, float]:
        name, _, cell = text.partition("=")
        recipe, _, fraction = cell.partition(":")
        if not name or not recipe or not fraction or (recipes and recipe not in recipes):
            form, names = ("PROTOCOL", f" with one of {', '.join(recipes)}") if recipes else ("MODEL", "")
            raise argparse.ArgumentTypeError(f"expected NAME={form}:FRACTION{names}, got {text!r}")
        return name, recipe, share(fraction)

    return read
