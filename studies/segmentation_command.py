"""A segmentation study from its command line to its report."""

import argparse
from pathlib import Path

from ponderv2.folder_lock import folder_lock

from .arguments import DECODER_PROBE, FINETUNE, LINEAR_PROBE, POINTS, SCRATCH
from .baseline_report import data_identity
from .kept_points import frames_of_run, kept_point_scores
from .made_with import runs_by_code
from .named_starts import cells_by_start, describe_pretrainings, one_source, options_by_name, paths_by_name
from .paired_scores import FORMULA
from .planned_runs import planned_runs
from .points_alone import points_entry
from .processes import launch
from .runs import LOCK, Launcher, StudyError
from .segmentation_picture import draw
from .segmentation_report import describe_sample, rows_of, table_of
from .segmentation_study import SegmentationStudy
from .study_checks import check_study
from .study_report import exit_code, write_report
from .study_run import Run
from .transfer_study import PRETRAINED

RECIPES = {
    LINEAR_PROBE: "lidarseg_unet_synthetic_linear_probe.py",
    DECODER_PROBE: "lidarseg_unet_synthetic_decoder_probe.py",
    FINETUNE: "lidarseg_unet_synthetic.py",
}
PRETRAINING = "ponderv2_lidar_unet_synthetic.py"


def run_segmentation_study(given: argparse.Namespace, root: Path, launcher: Launcher = launch) -> int:
    """Run the study of a command line and report it.

    Args:
        given: arguments of tools/segmentation_study.py.
        root: folder of the repository, with tools/ and configs/.
        launcher: function that runs a command.

    Returns:
        The exit code: 0 done, 1 some run failed.

    Raises:
        UserError: the study cannot be run, or another one runs in its folder; nothing was trained then.
    """
    study = study_of(given, root)
    check_study(study)
    if given.plan:
        print(planned_runs(study))
        return 0
    with folder_lock(study.out, LOCK, "running a study", "--out"):
        return _run(given, study, launcher)


def _run(given: argparse.Namespace, study: SegmentationStudy, launcher: Launcher) -> int:
    identity = data_identity(study.data_root)
    points = _points(study, given.points_alone, identity)
    done, failures = study.run_trainings(given.jobs, launcher)
    rows = rows_of(study, done, points)
    print(f"\n{table_of(rows, study.arms)}\n\n{describe_sample(study)}\n")
    about = {
        "data": identity,
        "seeds": list(study.seeds),
        "options": list(given.cfg_options),
        "pretrain_options": list(given.pretrain_options),
        "pretrainings": describe_pretrainings(study),
        "gpus": study.gpus,
        "failed": sorted(failures),
        "formula": FORMULA,
        "made_with": runs_by_code(done),
    }
    written, picture = given.json or study.out / "study.json", study.out / "study.png"
    write_report(written, rows, about)
    draw(picture, rows, study.arms)
    print(f"written: {written}, {picture}")
    return exit_code(failures)


def study_of(given: argparse.Namespace, root: Path) -> SegmentationStudy:
    """Return the study of a command line.

    Raises:
        StudyError: lists or names do not fit.
    """
    tiny = root / "configs" / "tiny"
    configs = paths_by_name("--config", given.config)
    pretrained = paths_by_name("--pretrained", given.pretrained)
    recipes = paths_by_name("--pretrain-config", given.pretrain_config)
    one_source(pretrained, recipes)
    if PRETRAINED not in pretrained:
        recipes = {PRETRAINED: tiny / PRETRAINING} | recipes
    arms = tuple(sorted({*pretrained, *recipes}, key=lambda name: (name != PRETRAINED, name)))
    protocols = tuple(given.protocols)
    for protocol, path in configs.items():
        if protocol not in protocols:
            raise StudyError(f"--config {protocol}={path}: the study does not train {protocol}; add it to --protocols")
    options, of_protocol = options_by_name("--cfg-options", given.cfg_options, protocols)
    pretrain_options, of_arm = options_by_name("--pretrain-options", given.pretrain_options, arms)
    return SegmentationStudy(
        train_tool=root / "tools" / "train.py",
        data_root=given.data_root,
        out=given.out,
        protocols=protocols,
        arms=arms,
        fractions=tuple(given.fractions),
        probe_fractions=tuple(given.probe_fractions),
        seeds=tuple(given.seeds),
        pretrain_seeds=tuple(given.pretrain_seeds),
        configs={name: tiny / file for name, file in RECIPES.items()} | configs,
        pretrained=pretrained,
        pretrain_configs=recipes,
        options=options,
        of_recipe=of_protocol,
        pretrain_options=pretrain_options,
        of_pretraining=of_arm,
        cells=cells_by_start(given.cells),
        dataset_key=given.dataset_key,
        gpus=given.gpus,
    )


def _points(study: SegmentationStudy, which: str, identity: dict) -> dict[tuple[str, float], dict]:
    """Return what the classifier of single points scores with the frames of each protocol and share of the labels."""
    seeds = {"no": (), "first-seed": study.seeds[:1], "every-seed": study.seeds}[which]
    found = {}
    cells = [(protocol, f) for protocol in study.protocols for f in study.fractions_of(protocol)]
    for protocol, fraction in cells if seeds else ():
        print(f"points alone, {protocol}, {fraction:.0%} of the labelled frames", flush=True)
        scores = kept_point_scores(
            study.out / POINTS,
            study.data_root,
            identity,
            fraction,
            seeds,
            lambda seed, p=protocol, f=fraction: frames_of_run(study, Run(p, f, SCRATCH, seed)),
        )
        found[protocol, fraction] = points_entry(scores, fraction, seeds)
    return found
