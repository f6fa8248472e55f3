"""Parts of a recipe, by what they are and where they stand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config, ConfigDict

from ponderv2.engine import innermost_dataset

from .runs import StudyError


def type_name(part: Mapping) -> str:
    """Return the name of the class that a part of a recipe builds, without its module; "" where it names none."""
    kind = part.get("type", "")
    return kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__


def paths_by_modality(option: str, pairs: Sequence[tuple[str, Path]], modalities: Sequence[str]) -> dict[str, Path]:
    """Return the paths of an option `MODALITY=PATH` by modality.

    Raises:
        StudyError: there is a path for a modality that is not compared, or two for one that is.
    """
    for modality, path in pairs:
        if modality not in modalities:
            raise StudyError(
                f"{option} {modality}={path}: the study does not compare {modality}; add it to --modalities "
                f"({' '.join(modalities)}), or leave the option out"
            )
    return paths_by_name(option, pairs)


def paths_by_name(option: str, pairs: Sequence[tuple[str, Path]]) -> dict[str, Path]:
    """Return the paths of an option `NAME=PATH` by name.

    Raises:
        StudyError: there are two for one name.
    """
    named = [name for name, _ in pairs]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise StudyError(f"{option}: expected one path for {twice}, got {named.count(twice)}")
    return dict(pairs)


def hooks_of(config: Config, name: str) -> list[int]:
    """Return the places in `custom_hooks` of the hooks of a class."""
    return [k for k, hook in enumerate(config.get("custom_hooks") or []) if type_name(hook) == name]


def training_dataset_key(config: Config, path: Path) -> str:
    """Return the key of the training data set, inside wrappers such as class-balanced sampling.

    Raises:
        StudyError: the innermost data set reads no info file.
    """
    key, dataset = innermost_dataset(config.train_dataloader)
    if "ann_file" not in dataset:
        raise StudyError(f"{path}: train_dataloader.{key} has no ann_file; say where the data set is: --dataset-key")
    return f"train_dataloader.{key}"


def dataset_at(config: Config, key: str, path: Path) -> ConfigDict:
    """Return the data set at a key with dots.

    Raises:
        StudyError: there is none with an info file.
    """
    part = config
    for name in key.split("."):
        part = part.get(name) if isinstance(part, Config | ConfigDict) else None
    if not isinstance(part, ConfigDict) or "ann_file" not in part:
        raise StudyError(f"--dataset-key {key}: {path} has no data set with an ann_file there")
    return part


def info_files(loader: ConfigDict) -> list[str]:
    """Return the names of the info files of a loader's data set."""
    files = innermost_dataset(loader)[1].ann_file
    return [files] if isinstance(files, str) else list(files)


def detection_metric(config: Config, path: Path) -> ConfigDict:
    """Return the config of a recipe's official detection metric.

    Raises:
        StudyError: its validation has none.
    """
    return scoring_metric(config, path, "PonderNuScenesMetric")


def scoring_metric(config: Config, path: Path, kind: str) -> ConfigDict:
    """Return the config of the metric of a class that a recipe is validated by.

    Raises:
        StudyError: its validation has none.
    """
    metrics = config.get("val_evaluator") or []
    metrics = [metrics] if isinstance(metrics, Mapping) else list(metrics)
    found = [metric for metric in metrics if type_name(metric) == kind]
    if not found:
        raise StudyError(
            f"{path}: val_evaluator is {[type_name(metric) for metric in metrics]}, expected {kind}: a study compares "
            "its scores"
        )
    return found[0]
