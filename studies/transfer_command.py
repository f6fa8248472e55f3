"""A transfer study from its command line to its report."""

import argparse
import sys
from pathlib import Path

from ponderv2.folder_lock import folder_lock

from .arguments import MODALITIES
from .processes import launch
from .recipe_parts import paths_by_modality
from .runs import LOCK, Launcher
from .study_checks import check_study
from .transfer_constants import constant_scores
from .transfer_picture import draw
from .transfer_report import describe_sample, rows_of, sample_size, steps_of, table_of, write_report
from .transfer_study import TransferStudy


def run_study(given: argparse.Namespace, root: Path, launcher: Launcher = launch) -> int:
    """Run the study of a command line and report it.

    Args:
        given: arguments of tools/transfer_study.py.
        root: folder of the repository, with tools/ and configs/.
        launcher: function that runs a command.

    Returns:
        The exit code: 0 done, 1 some run failed.

    Raises:
        UserError: the study cannot be run, or another one runs in its folder; nothing was trained then.
    """
    tiny = root / "configs" / "tiny"
    configs, pretrained, pretrain_configs = (
        paths_by_modality(option, pairs, given.modalities)
        for option, pairs in (
            ("--config", given.config),
            ("--pretrained", given.pretrained),
            ("--pretrain-config", given.pretrain_config),
        )
    )
    study = TransferStudy(
        train_tool=root / "tools" / "train.py",
        data_root=given.data_root,
        out=given.out,
        modalities=tuple(given.modalities),
        fractions=tuple(given.fractions),
        seeds=tuple(given.seeds),
        configs={m: tiny / f"uvtr_{m}_synthetic.py" for m in MODALITIES} | configs,
        pretrained=pretrained,
        pretrain_configs={m: tiny / f"ponderv2_{m}_synthetic.py" for m in MODALITIES} | pretrain_configs,
        options=tuple(given.cfg_options),
        pretrain_options=tuple(given.pretrain_options),
        dataset_key=given.dataset_key,
        gpus=given.gpus,
    )
    check_study(study)
    with folder_lock(study.out, LOCK, "running a study", "--out"):
        constants = constant_scores(study)
        results, failures = study.run(given.jobs, launcher)
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
        "gpus": study.gpus,
        "pretrained": {m: str(study.pretrained.get(m, "made by the study")) for m in study.modalities},
        "failed": sorted(failures),
    } | ({"earlier": earlier} if earlier else {})
    write_report(study.out / "study.json", rows, about)
    draw(study.out / "study.png", rows)
    print(f"written: {study.out / 'study.json'}, {study.out / 'study.png'}")
    if failures:
        print(f"failed: {', '.join(failures)}; start again to repeat them", file=sys.stderr)
    return 1 if failures else 0
