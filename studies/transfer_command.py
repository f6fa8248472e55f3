"""A transfer study from its command line to its report."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ponderv2.folder_lock import folder_lock

from .arguments import MODALITIES
from .baseline_report import baseline_rows, data_identity, read_baselines
from .baseline_report import table_of as baseline_table
from .named_starts import (
    cells_by_start,
    describe_pretrainings,
    one_source,
    options_by_name,
    paths_of_names,
)
from .planned_runs import planned_runs
from .processes import launch
from .runs import LOCK, Launcher, StudyError
from .study_checks import check_study
from .study_report import exit_code, write_report
from .study_run import Run
from .transfer_constants import constant_scores
from .transfer_picture import draw, draw_lengths
from .transfer_report import describe_study, rows_of, steps_before, table_of
from .transfer_study import CONSTANT, TransferStudy, key_of


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
    study = study_of(given, root)
    identity = data_identity(study.data_root)
    baselines = read_baselines(given.baselines, identity, "--baselines") if given.baselines else {}
    try:
        rows_beside = baseline_rows(baselines)
    except (KeyError, TypeError, AttributeError) as error:
        wrong = f"expected what tools/blind_baselines.py writes ({error!r})"
        raise StudyError(f"--baselines {given.baselines}: {wrong}") from error
    check_study(study)
    if given.plan:
        print(planned_runs(study))
        return 0
    with folder_lock(study.out, LOCK, "running a study", "--out"):
        constants = constant_scores(study) if CONSTANT in study.references else {}
        done, failures = study.run_trainings(given.jobs, launcher)
        about = {
            "data": identity,
            "options": list(given.cfg_options),
            "pretrain_options": list(given.pretrain_options),
            "encoder_rates": study.encoder_rates,
            "starts": study.same_encoder,
            "gpus": study.gpus,
            "failed": sorted(failures),
            "baselines": rows_beside,
        }
        report(study, given.json or study.out / "study.json", done, constants, about)
        if baselines:
            print(f"\n{baseline_table(baselines)}")
    return exit_code(failures)


def study_of(given: argparse.Namespace, root: Path) -> TransferStudy:
    """Return the study of a command line.

    Raises:
        StudyError: lists or names do not fit.
    """
    tiny = root / "configs" / "tiny"
    models = tuple(given.models or dict.fromkeys(name for name, _ in given.config) or ("camera", "lidar"))
    starts, same_encoder, pretrained, recipes = _starts(given, models, tiny)
    both = sorted(set(models) & set(starts))
    if both:
        raise StudyError(f"--starts: {both[0]} is a model of the study; expected names that no model has")
    options, of_one = options_by_name("--cfg-options", given.cfg_options, (*models, *starts))
    pretrain_options, of_pretraining = options_by_name("--pretrain-options", given.pretrain_options, starts)
    rates = dict(given.encoder_rate)
    unknown = sorted(set(rates) - {"", *models, *starts})
    if unknown:
        raise StudyError(f"--encoder-rate {unknown[0]}: expected one of {', '.join((*models, *starts))}")
    own: dict[str, tuple[float, ...]] = {}
    for model, fraction in given.fractions:
        own[model] = (*own.get(model, ()), fraction)
    without = [model for model in models if model not in own and "" not in own]
    if without:
        raise StudyError(f"--fractions: expected shares of {without[0]} as well, or some without a model")
    return TransferStudy(
        train_tool=root / "tools" / "train.py",
        data_root=given.data_root,
        out=given.out,
        models=models,
        starts=starts,
        same_encoder=same_encoder,
        fractions=own.pop("", ()) or next(iter(own.values())),
        own_fractions=own,
        seeds=tuple(given.seeds),
        pretrain_seeds=tuple(given.pretrain_seeds),
        configs={m: tiny / f"uvtr_{m}_synthetic.py" for m in MODALITIES}
        | paths_of_names("--config", "--models", given.config, models),
        pretrained=pretrained,
        pretrain_configs=recipes,
        options=options,
        of_recipe={name: changes for name, changes in of_one.items() if name in models},
        of_start={name: changes for name, changes in of_one.items() if name in starts},
        pretrain_options=pretrain_options,
        of_pretraining=of_pretraining,
        encoder_rates=rates,
        cells=cells_by_start(given.cells),
        frozen=tuple(given.frozen),
        references=tuple(given.references),
        dataset_key=given.dataset_key,
        gpus=given.gpus,
    )


def _starts(
    given: argparse.Namespace, models: Sequence[str], tiny: Path
) -> tuple[tuple[str, ...], dict[str, str], dict[str, Path], dict[str, Path]]:
    """Return the names of the starts, those with the encoder of another one, and files and recipes by key."""
    pretrained = paths_of_names("--pretrained", "--models", given.pretrained, models)
    recipes = paths_of_names("--pretrain-config", "--models", given.pretrain_config, models)
    one_source(pretrained, recipes)
    same_encoder = {name: other for name, other in given.starts if other}
    named = [key.partition(":")[2] for key in (*pretrained, *recipes)]
    starts = tuple(dict.fromkeys((*(name for name, _ in given.starts), *filter(None, named))))
    for model in models:
        default = tiny / f"ponderv2_{model}_synthetic.py" if model in MODALITIES else None
        recipe = recipes.get(model, default)
        for name, other in given.starts:
            key = key_of(model, name)
            if recipe is not None and not other and key not in pretrained:
                recipes.setdefault(key, recipe)
    return starts, same_encoder, pretrained, recipes


def report(study: TransferStudy, written: Path, done: dict, constants: dict, about: dict) -> None:
    """Print the tables, and write the rows as JSON, and the pictures.

    Args:
        study: the study.
        written: file of the rows.
        done: finished trainings with result and minutes, see `EncoderStudy.run_trainings`.
        constants: scores of its constant predictors, see `constant_scores`.
        about: what else the file says.
    """
    earlier = {step: rows_of(study, done, constants, step) for step in steps_before(done)}
    for step, rows in earlier.items():
        print(f"\nAfter {step} steps:\n\n{table_of(rows)}")
    rows = rows_of(study, done, constants)
    told = describe_study(study, done)
    print(f"\n{'At the end:' if earlier else ''}\n{table_of(rows)}\n\n{told['sample']}\n")
    trainings = [Run("", 0, "", *seeds) for seeds in study.trainings]
    about = {
        **told,
        "seeds": list(study.seeds),
        "pretrain_seeds": list(study.pretrain_seeds),
        "trainings": [
            {"seed": run.seed, "pretrain_seed": run.pretrain_seed, "training_seed": run.training_seed}
            for run in trainings
        ],
        "pretrainings": describe_pretrainings(study),
        **about,
        "earlier": earlier,
    }
    write_report(written, rows, about)
    pictures = [study.out / "study.png"]
    draw(pictures[0], rows)
    if draw_lengths(study.out / "lengths.png", rows):
        pictures.append(study.out / "lengths.png")
    print(f"written: {', '.join(map(str, (written, *pictures)))}")
