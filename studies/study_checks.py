"""What would stop a study of encoders, looked for before its first step, all of it at once."""

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config, ConfigDict
from torch import Tensor
from torch.utils.data import Dataset

from ponderv2.checkpoints import compare_encoder
from ponderv2.datasets import how_to_make_infos
from ponderv2.engine import set_data_root
from ponderv2.errors import ListedErrors, UserError
from ponderv2.registry import DATASETS, METRICS, MODELS

from .encoder_study import EncoderStudy
from .first_step import build_first_step
from .label_excess import Labels, label_excess
from .quiet import messages_from
from .recipe_parts import dataset_at, hooks_of
from .runs import StudyError
from .scored_frames import scored_in_training


class StudyProblems(ListedErrors, StudyError):
    """Raised for a study that cannot be run; the message has a line for each problem."""


@dataclass
class Problems:
    """What was found, one line each.

    Attributes:
        lines: the problems, without repetitions, in the order in which they were found.
    """

    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        line = " ".join(line.split())
        if line not in self.lines:
            self.lines.append(line)

    @contextmanager
    def noted(self, where: str) -> Iterator[None]:
        """Note what is raised inside as a problem.

        A recipe is the user's Python, and what it builds may raise anything; all of it keeps a training from starting.
        """
        try:
            yield
        except (UserError, FileNotFoundError) as error:
            recipe = where.partition(": ")[0]
            self.add(str(error) if recipe in str(error) else f"{where}: {error}")
        except Exception as error:
            self.add(f"{where}: {type(error).__name__}: {error}")


def check_study(study: EncoderStudy) -> None:
    """Check every training that a study still has to run.

    Each recipe loads with its options. Each model is built and takes the weights it starts from; the encoder that a
    pre-training will make covers the model's. Each data set is built and its first frame loaded, of training and of
    validation, so that info files, sensors' files and the ground-truth database are there. The official metric finds
    its tables, earlier runs in the folder have the same settings, and the folder can be written. For a recipe where
    nothing was found so far, all else is built that its trainings build before their first step: hooks, loops,
    optimiser, schedulers. It takes about as long as trainings take to start. At last, finished runs included, nothing
    is trained on frames that are scored, and a pre-training that sees labels of points sees none that a run which
    starts from it lacks; of encoders that are given nobody knows.

    Args:
        study: the study; recipes without anything left to run are not checked.

    Raises:
        StudyError: there is a problem; of several, `StudyProblems` with a line for each.
    """
    problems = Problems()
    _check_folder(study.out, problems)
    if not study.train_tool.is_file():
        problems.add(f"{study.train_tool} does not exist")
    if not study.data_root.is_dir():
        problems.add(f"--data-root {study.data_root} is not a folder")
    else:
        with messages_from(logging.ERROR):
            given = study.given()
            made = [name for name in study.encoder_names() if name not in given]
            weights = _check_pretrainings(study, made, problems)
            for recipe in study.recipes:
                _check_recipe(study, recipe, weights, problems)
            if not problems.lines:
                with problems.noted("info files"):
                    for line in scored_in_training(study, made):
                        problems.add(line)
                _check_labels(study, made, problems)
    if len(problems.lines) == 1:
        raise StudyError(f"the study cannot be run, nothing was started: {problems.lines[0]}")
    if problems.lines:
        listed = "".join(f"\n  {line}" for line in problems.lines)
        raise StudyProblems(f"the study cannot be run, nothing was started:{listed}")


def _check_folder(out: Path, problems: Problems) -> None:
    folder = out
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        problems.add(f"--out {out} cannot be written: {error.strerror}: {folder}")


def _check_recipe(
    study: EncoderStudy, recipe: str, weights: Mapping[str, dict[str, Tensor] | None], problems: Problems
) -> None:
    """Check the trainings of a recipe; `weights` are those that pre-trainings will export, by name."""
    path = study.configs[recipe]
    with problems.noted(str(path)):
        if _is_finished(study, recipe):
            return
    before = len(problems.lines)
    runs = study.first_runs(recipe)
    run = next(run for run in runs if study.encoder_name(run) is None)
    with problems.noted(str(path)):
        study.training(run, None)
    # What is right can be checked beside what is wrong.
    with problems.noted(str(path)):
        config, key = study.config_of(run)
        set_data_root(config, str(study.data_root))
        if study.gpus > 1 and hooks_of(config, "UnfreezeEncoderHook"):
            problems.add(f"{path}: UnfreezeEncoderHook works with one process, --gpus is {study.gpus}")
        val = _check_data(study, config, path, problems)
        if val is not None:
            _check_fractions(study, recipe, dataset_at(config, key, path), problems)
        with problems.noted(f"{path}: val_evaluator"):
            metric = METRICS.build(study.metric_of(config, path))
            if val is not None:
                # Told the data set, it looks for its files.
                metric.dataset_meta = val.metainfo
        for start in runs:
            if (name := study.encoder_name(start)) is not None:
                _check_start(study, path, study.config_of(start)[0], name, weights.get(name), problems)
        with problems.noted(f"{path}: model of the baseline"):
            config.merge_from_dict(dict(config.get("scratch", {"model.init_cfg": None})))
            MODELS.build(config.model).init_weights()
    if len(problems.lines) > before:
        # What is wrong already would be told again in other words.
        return
    built = set()
    for run in runs:
        with problems.noted(str(path)):
            config = study.config_to_train(run, study.encoder_for(run))
            # Weights were checked already; nothing is built twice for another encoder or seed.
            content = _without_weights(config)
            if content not in built:
                built.add(content)
                build_first_step(config, path)


def _without_weights(config: Config) -> str:
    content = config.to_dict()
    if (content["model"].get("init_cfg") or {}).get("checkpoint"):
        content["model"]["init_cfg"]["checkpoint"] = None
    return repr(content)


def _check_fractions(study: EncoderStudy, recipe: str, dataset: ConfigDict, problems: Problems) -> None:
    """Refuse shares that are less than half a frame, which would be trained on one frame all the same."""
    if dataset.get("fraction_by", "frames") != "frames":
        return
    frames = len(DATASETS.build(dataset | {"pipeline": [], "fraction": 1.0}))
    for fraction in dict.fromkeys(run.fraction for run in study.runs() if run.recipe == recipe):
        if round(fraction * frames) == 0:
            problems.add(
                f"--fractions {fraction:g} of the {frames} training frames of {study.data_root} are none; expected at "
                f"least {1 / frames:.2g}"
            )


def _check_labels(study: EncoderStudy, made: list[str], problems: Problems) -> None:
    known: dict[tuple, Labels | None] = {}
    for name in made:
        with problems.noted(str(study.pretraining_recipe(name)[0])):
            if excess := label_excess(study, name, known):
                problems.add(excess)


def _check_start(
    study: EncoderStudy,
    path: Path,
    config: Config,
    name: str,
    weights: dict[str, Tensor] | None,
    problems: Problems,
) -> None:
    """Build the model of a recipe and start it from an encoder that is there, or compare it with one to be made."""
    with problems.noted(f"{path}: model"):
        config.model.init_cfg.checkpoint = str(study.encoder_of(name))
        model = MODELS.build(config.model)
        if weights is not None:
            start = config.model.init_cfg
            _, wrong = compare_encoder(model, weights, start.get("new", ()), start.get("parts"))
            if wrong:
                made, _ = study.pretraining_recipe(name)
                problems.add(f"the encoder of {made} does not cover that of {path}: {'; '.join(wrong)}")
        elif name in study.given() or study.encoder_of(name).is_file():
            model.init_weights()


def _check_pretrainings(
    study: EncoderStudy, names: Sequence[str], problems: Problems
) -> dict[str, dict[str, Tensor] | None]:
    """Check pre-trainings, of those that differ in their seed alone the first one; returns what all will export."""
    found: dict[tuple, dict[str, Tensor] | None] = {}
    weights = {}
    for name in names:
        path, options = study.pretraining_recipe(name)
        recipe = path, tuple(option for option in options if not option.startswith("randomness.seed="))
        if recipe not in found:
            found[recipe] = _check_pretraining(study, name, problems)
        weights[name] = found[recipe]
    return weights


def _check_pretraining(study: EncoderStudy, name: str, problems: Problems) -> dict[str, Tensor] | None:
    """Check a pre-training that is to be run; returns weights of the names and shapes that it will export."""
    (path, _), weights = study.pretraining_recipe(name), None
    before = len(problems.lines)
    with problems.noted(str(path)):
        if study.pretraining(name).finished() is not None:
            return None
    with problems.noted(str(path)):
        config = study.pretraining_config(name)
        set_data_root(config, str(study.data_root))
        if not hooks_of(config, "EncoderExportHook"):
            problems.add(f"{path}: custom_hooks has no EncoderExportHook, which makes the encoder to start from")
        _check_data(study, config, path, problems)
        with problems.noted(f"{path}: model"):
            model = MODELS.build(config.model)
            model.init_weights()
            weights = model.encoder.state_dict()
        if len(problems.lines) == before:
            build_first_step(config, path)
    return weights


def _is_finished(study: EncoderStudy, recipe: str) -> bool:
    """Tell whether all trainings of a recipe have results.

    Raises:
        StudyError: some folder holds a run of other settings.
    """
    # The settings of pre-trained runs have the hash of their encoder, which may not be made yet.
    files = {run: study.encoder_for(run) for run in study.runs() if run.recipe == recipe}
    known = [run for run, file in files.items() if file is None or file.is_file()]
    found = [study.training(run, files[run]).finished() for run in known]
    return len(known) == len(files) and None not in found


def _check_data(study: EncoderStudy, config: Config, path: Path, problems: Problems) -> Dataset | None:
    """Build both data sets and load the first frame of each; returns the validation data set, None if it is wrong."""
    missing = study.missing_info_files(config)
    for name in missing:
        problems.add(f"--data-root {study.data_root} has no {name}; {how_to_make_infos(study.data_root)}")
    if missing:
        return None
    val = None
    for name in ("train_dataloader", "val_dataloader"):
        with problems.noted(f"{path}: {name}"):
            val = None
            dataset = DATASETS.build(config[name].dataset)
            # What loading draws comes from this process's generators, which no training uses.
            dataset[0]
            val = dataset
    return val
