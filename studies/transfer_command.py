"""The command line of a transfer study."""

import argparse
import sys
from pathlib import Path

from .processes import launch
from .runs import Launcher, StudyError
from .study_checks import check_study
from .transfer_constants import constant_scores
from .transfer_picture import draw
from .transfer_report import describe_sample, rows_of, sample_size, steps_of, table_of, write_report
from .transfer_study import MODALITIES, TransferStudy


def parse_arguments(description: str, arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line of tools/transfer_study.py."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True, help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and of the report")
    parser.add_argument("--modalities", nargs="+", choices=MODALITIES, default=["camera", "lidar"])
    parser.add_argument("--fractions", nargs="+", type=float, default=[0.1, 0.25], help="shares of the labelled frames")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    pairs = {"nargs": "+", "type": _pair, "default": [], "metavar": "MODALITY=PATH"}
    parser.add_argument("--config", **pairs, help="detector recipe; default configs/tiny/uvtr_<modality>_synthetic.py")
    parser.add_argument("--pretrained", **pairs, help="encoder.safetensors or checkpoint; otherwise one is made first")
    parser.add_argument(
        "--pretrain-config", **pairs, help="recipe that makes it; default configs/tiny/ponderv2_<modality>_synthetic.py"
    )
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE", help="changes to the detectors")
    parser.add_argument("--pretrain-options", nargs="+", default=[], metavar="KEY=VALUE", help="to the pre-trainings")
    parser.add_argument("--dataset-key", help="where a detector recipe has the data set with `fraction`")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, sharing the cores (default 1)")
    parser.add_argument("--gpus", type=int, default=1, help="GPUs a training, with torchrun when more than one")
    given = parser.parse_args(arguments)
    if given.jobs < 1 or given.gpus < 1:
        parser.error("--jobs and --gpus: expected at least 1")
    return given


def main(description: str, root: Path, arguments: list[str] | None = None, launcher: Launcher = launch) -> int:
    """Run the study and report it.

    Args:
        description: description of the tool, for `--help`.
        root: folder of the repository, with tools/ and configs/.
        arguments: the command line; None takes that of the process.
        launcher: function that runs a command.

    Returns:
        The exit code: 0 done, 1 some run failed, 2 the study cannot be run.
    """
    given = parse_arguments(description, arguments)
    tiny = root / "configs" / "tiny"
    pretrained = dict(given.pretrained)
    try:
        study = TransferStudy(
            train_tool=root / "tools" / "train.py",
            data_root=given.data_root,
            out=given.out,
            modalities=tuple(given.modalities),
            fractions=tuple(given.fractions),
            seeds=tuple(given.seeds),
            configs={m: tiny / f"uvtr_{m}_synthetic.py" for m in MODALITIES} | dict(given.config),
            pretrained={m: path for m, path in pretrained.items() if m in given.modalities},
            pretrain_configs={m: tiny / f"ponderv2_{m}_synthetic.py" for m in MODALITIES} | dict(given.pretrain_config),
            options=tuple(given.cfg_options),
            pretrain_options=tuple(given.pretrain_options),
            dataset_key=given.dataset_key,
            gpus=given.gpus,
        )
        check_study(study)
        constants = constant_scores(study)
        results, failures = study.run(given.jobs, launcher)
    except (StudyError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    return report(study, results, constants, failures)


def report(study: TransferStudy, results: dict, constants: dict, failures: dict[str, str]) -> int:
    """Print the tables, write study.json and study.png, and return the exit code: 0 done, 1 some run failed.

    Args:
        study: the study.
        results: scores of its finished trainings.
        constants: scores of its constant predictors, see `constant_scores`.
        failures: last lines of its failed trainings, by name.
    """
    earlier = {}
    cells = (study.modalities, study.fractions, study.seeds)
    for step in steps_of(results):
        at_step = {run: result["earlier"][step] for run, result in results.items()}
        earlier[step] = rows_of(at_step | constants, *cells)
        print(f"\nAfter {step} steps:\n\n{table_of(earlier[step])}")
    rows = rows_of(results | constants, *cells)
    print(f"\n{'At the end:' if earlier else ''}\n{table_of(rows)}\n\n{describe_sample(*cells)}\n")
    about = {
        "sample_size": sample_size(*cells),
        "seeds": list(study.seeds),
        "configs": {m: str(study.configs[m]) for m in study.modalities},
        "options": list(study.options),
        "pretrain_options": list(study.pretrain_options),
        "pretrained": {m: str(study.pretrained.get(m, "made by the study")) for m in study.modalities},
        "failed": sorted(failures),
    } | ({"earlier": earlier} if earlier else {})
    write_report(study.out / "study.json", rows, about)
    draw(study.out / "study.png", rows)
    print(f"written: {study.out / 'study.json'}, {study.out / 'study.png'}")
    if failures:
        print(f"failed: {', '.join(failures)}; start again to repeat them", file=sys.stderr)
    return 1 if failures else 0


def _pair(text: str) -> tuple[str, Path]:
    modality, equals, path = text.partition("=")
    if modality not in MODALITIES or not equals or not path:
        raise argparse.ArgumentTypeError(f"expected MODALITY=PATH with one of {', '.join(MODALITIES)}, got {text!r}")
    return modality, Path(path)
