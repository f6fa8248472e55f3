"""Parts of a recipe, by what they are and where they stand."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config, ConfigDict

from ponderv2.engine import innermost_dataset

from .runs import StudyError

_text_hashes: dict[str, str] = {}


def type_name(part: Mapping) -> str:
    """Return the name of the class that a part of a recipe builds, without its module; "" where it names none."""
    kind = part.get("type", "")
    return kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__


def steps_of(config: Config) -> int | None:
    """Return the number of steps of a recipe; None where it counts epochs."""
    return config.get("train_cfg", {}).get("max_iters")


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


def info_files_of(config: Config) -> list[str]:
    """Return the names of the info files of a recipe, of training and validation."""
    return sorted({name for loader in (config.train_dataloader, config.val_dataloader) for name in info_files(loader)})


def text_hash(config: Config) -> str:
    """Return the SHA-256 of a recipe with its changes."""
    # Formatting a recipe takes a second, and a study asks for its hash with every run.
    content = repr(config.to_dict())
    if content not in _text_hashes:
        _text_hashes[content] = hashlib.sha256(config.pretty_text.encode()).hexdigest()
    return _text_hashes[content]


def detection_metric(config: Config, path: Path) -> ConfigDict:
    """Return the config of a recipe's official detection metric.

    Raises:
        StudyError: its validation has none.
    """
    return scoring_metric(config, path, "PonderNuScenesMetric")


def scoring_metric(config: Config, path: Path, *kinds: str) -> ConfigDict:
    """Return the config of the metric of one of some classes that a recipe is validated by.

    Raises:
        StudyError: its validation has none.
    """
    found = [metric for metric in _metrics(config) if type_name(metric) in kinds]
    if not found:
        raise StudyError(
            f"{path}: val_evaluator is {metric_names(config)}, expected {' or '.join(kinds)}: a study compares its "
            "scores"
        )
    return found[0]


def metric_names(config: Config) -> list[str]:
    """Return the names of the classes of the metrics that a recipe is validated by."""
    return [type_name(metric) for metric in _metrics(config)]


def _metrics(config: Config) -> list[ConfigDict]:
    metrics = config.get("val_evaluator") or []
    return [metrics] if isinstance(metrics, Mapping) else list(metrics)
