"""A linear probe: how well a linear classifier recognises objects from single cells of a frozen volume."""

import argparse
import copy
import difflib
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from tqdm import tqdm

from ponderv2.checkpoints import resolve_checkpoint
from ponderv2.datasets import gravity_boxes
from ponderv2.datasets.transforms.sample_generator import sample_generator
from ponderv2.devices import usable_device
from ponderv2.engine import load_config, parse_options, recipe_errors
from ponderv2.errors import UserError
from ponderv2.geometry import points_in_box
from ponderv2.models import LidarSegmentor, VolumeDetector
from ponderv2.registry import DATASETS, MODELS
from ponderv2.shapes import Float, Int
from ponderv2.structures import VoxelGrid

from .arguments import SCRATCH
from .evaluation_frames import SeededFrames, evaluation_datasets, frames_of
from .quiet import messages_from

NO_OBJECT = -1
FEWEST_CELLS = 20


@dataclass(frozen=True)
class Cells:
    """Cells of some frames.

    Attributes:
        features: features of the cells, `[N, C]`; each channel has mean 0 and variance 1 over all cells of its frame.
        classes: class of the object that each cell lies in, `[N]`; -1 for cells in no object.
    """

    features: Float[np.ndarray, "n c"]
    classes: Int[np.ndarray, "n"]


@dataclass(frozen=True)
class ProbeResult:
    """Scores of a linear classifier of cells, as areas under the ROC curve: 0.5 is a guess, 1 is perfect.

    Attributes:
        encoder: name of the encoder.
        train: score of telling objects from free cells, on the frames that the classifier was fitted to.
        val: the same on other frames.
        classes: score of telling one class from all other cells on other frames, by name of the class, for classes
            with at least 20 cells in either set of frames.
        dimensions: effective number of dimensions of the features, (Σλ)² / Σλ² of the eigenvalues of their
            correlations: 1 when all channels are proportional, the number of channels when none are correlated.
    """

    encoder: str
    train: float
    val: float
    classes: dict[str, float]
    dimensions: float


def cell_classes(boxes: Float[Tensor, "n 7"], labels: Int[Tensor, "n"], grid: VoxelGrid) -> Int[np.ndarray, "z y x"]:
    """Return the class of the box that each cell's centre lies in, -1 for none.

    A box that contains no cell centre gets the cell that contains its own centre, unless it is outside the grid. Where
    boxes overlap, the later one counts.

    Args:
        boxes: (x, y, z, l, w, h, yaw) with gravity centres, metres and radians.
        labels: class of each box.
        grid: grid of the volume.
    """
    centers = grid.centers().reshape(-1, 3).numpy()
    classes = np.full(len(centers), NO_OBJECT)
    for box, label in zip(boxes.double(), labels.tolist(), strict=True):
        inside = points_in_box(centers, box.numpy())
        if len(inside) == 0:
            (x, y, z), in_grid = (value.tolist() for value in grid.cell_of(box[:3]))
            if in_grid:
                inside = np.ravel_multi_index((z, y, x), grid.shape)
        classes[inside] = label
    return classes.reshape(grid.shape)


@torch.no_grad()
def collect(model: nn.Module, loader: Iterable[dict], free_cells: int, seed: int = 0) -> Cells:
    """Encode frames, and collect all cells in objects and some free cells of each.

    The cells come in the order of the frames' tokens, and each frame draws by its own token: the result is the same to
    the last digit in whatever order the frames come.

    Args:
        model: a detector, whose `tensor` mode returns the volume.
        loader: loader of frames with boxes.
        free_cells: number of cells that are drawn at random from those in no object, in each frame.
        seed: seed of the draw.
    """
    found_in: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for data in tqdm(loader, desc="frames", leave=False):
        data = model.data_preprocessor(data)
        volume = model(**data, mode="tensor")
        for values, sample in zip(F.instance_norm(volume.data).cpu(), data["data_samples"], strict=True):
            truth = sample.gt_instances_3d
            boxes = torch.from_numpy(gravity_boxes(truth.bboxes_3d))
            found = cell_classes(boxes, truth.labels_3d.cpu(), model.encoder.grid).ravel()
            free = np.flatnonzero(found == NO_OBJECT)
            rng = sample_generator(seed, sample.metainfo)
            chosen = rng.choice(free, min(free_cells, len(free)), replace=False)
            chosen = np.concatenate([np.flatnonzero(found != NO_OBJECT), chosen])
            found_in[sample.token] = values.flatten(1).T.numpy()[chosen], found[chosen]
    features, classes = zip(*(found_in[token] for token in sorted(found_in)), strict=True)
    return Cells(np.concatenate(features), np.concatenate(classes))


def probe(encoder: str, train: Cells, val: Cells, names: Sequence[str]) -> ProbeResult:
    """Fit linear classifiers to the cells of some frames and score them on others.

    Args:
        encoder: name of the encoder.
        train: cells of the frames to fit to.
        val: cells of the frames to score on.
        names: names of the classes.

    Raises:
        UserError: one of the two has no cell in an object.
    """
    for cells, what in ((train, "training"), (val, "validation")):
        if not (cells.classes != NO_OBJECT).any():
            raise UserError(f"no object in the {what} frames: nothing to tell apart")
    on_train, on_val = _auc(train, val, lambda classes: classes != NO_OBJECT)
    enough = [k for k in range(len(names)) if min((c.classes == k).sum() for c in (train, val)) >= FEWEST_CELLS]
    fits = tqdm(enough, desc="classes", leave=False)
    by_class = {names[k]: _auc(train, val, lambda classes, k=k: classes == k)[1] for k in fits}
    return ProbeResult(encoder, on_train, on_val, by_class, _dimensions(train.features))


def _auc(train: Cells, val: Cells, is_positive: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    classifier = LogisticRegression(max_iter=200, class_weight="balanced")
    with warnings.catch_warnings():
        # The scores do not depend on the last digits of the weights.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(train.features, is_positive(train.classes))
    scores = [
        roc_auc_score(is_positive(cells.classes), classifier.decision_function(cells.features))
        for cells in (train, val)
    ]
    return float(scores[0]), float(scores[1])


def _dimensions(features: Float[np.ndarray, "n c"]) -> float:
    used = features[:, features.std(axis=0) > 0]
    if used.shape[1] < 2:
        return float(used.shape[1])
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(used, rowvar=False))
    return float(eigenvalues.sum() ** 2 / np.square(eigenvalues).sum())


def build_detector(config: Config, encoder: str, seed: int, device: str) -> nn.Module:
    """Build the detector of a recipe in evaluation mode and load an encoder into it.

    Args:
        config: the recipe.
        encoder: checkpoint of the encoder, or "scratch" for the baseline that the recipe names.
        seed: seed of the initialisation.
        device: device of the model.

    Raises:
        FileNotFoundError: when there is no such checkpoint.
        UserError: when the checkpoint does not cover the encoder, see `load_encoder_weights`.
    """
    torch.manual_seed(seed)
    config = copy.deepcopy(config)
    if encoder == SCRATCH:
        config.merge_from_dict(dict(config.get("scratch", {"model.init_cfg": None})))
    else:
        # The head is not looked at, and an exported encoder has none.
        config.model.init_cfg = dict(config.model.get("init_cfg") or {}) | {"checkpoint": encoder, "head": False}
    model = MODELS.build(config.model)
    # Initialisation logs a line for every parameter.
    with messages_from(logging.WARNING):
        model.init_weights()
    return model.to(device).eval()


def run_probe(given: argparse.Namespace) -> None:
    """Probe the encoders of a command line, print a table, and write the numbers where `--json` says.

    Args:
        given: arguments of tools/linear_probe.py.

    Raises:
        UserError: the recipe, the data or an encoder cannot be used.
    """
    device = usable_device(given.device)
    config = load_config(given.config, given.data_root, parse_options(given.cfg_options))
    for encoder in given.encoders:
        _check_encoder(encoder)
    _check_detector(config, given.config)
    with recipe_errors(given.config, "cannot be probed"):
        datasets = [DATASETS.build(dataset) for dataset in evaluation_datasets(config)]
    loaders = [frames_of(SeededFrames(dataset, given.seed), given.frames) for dataset in datasets]
    names = datasets[0].metainfo["classes"]
    results = []
    for encoder in given.encoders:
        with recipe_errors(given.config, "cannot be built"):
            model = build_detector(config, encoder, given.seed, device)
        cells = [collect(model, loader, given.free_cells, given.seed) for loader in loaders]
        results.append(probe(encoder, *cells, names))
    # A pipe or a file has no width; the table needs some.
    print_results(results, Console(width=None if sys.stdout.isatty() else 150))
    if given.json:
        given.json.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")


def _check_encoder(encoder: str) -> None:
    if encoder == SCRATCH:
        return
    try:
        resolve_checkpoint(Path(encoder))
    except FileNotFoundError as error:
        near = "; did you mean scratch?" if difflib.get_close_matches(encoder.lower(), [SCRATCH]) else ""
        raise UserError(f"--encoders: {error}{near}") from None


def _check_detector(config: Config, path: Path) -> None:
    kind = config.get("model", {}).get("type")
    with recipe_errors(path, "cannot be built"):
        kind = MODELS.get(kind) if isinstance(kind, str) else kind
    # A class that the registry does not know is told of by building it.
    if isinstance(kind, type) and not issubclass(kind, VolumeDetector):
        raise UserError(
            f"{path}: expected the recipe of a detector, found a {kind.__name__}"
            + "; segmentors are probed by training configs/*/lidarseg_*_linear_probe.py with tools/train.py, and "
            "compared by tools/segmentation_study.py" * issubclass(kind, LidarSegmentor)
        )


def print_results(results: Sequence[ProbeResult], console: Console) -> None:
    """Print a table with a row for each encoder."""
    table = Table(title="a cell's features, read by a linear classifier: area under the ROC curve")
    for name in ("encoder", "dimensions", "object, train", "object, val", "classes, mean", "classes, val"):
        table.add_column(name, overflow="fold")
    for result in results:
        values = result.classes
        mean = f"{np.mean(list(values.values())):.3f}" if values else "–"
        by_class = ", ".join(f"{name} {value:.2f}" for name, value in values.items())
        numbers = (f"{result.dimensions:.1f}", f"{result.train:.3f}", f"{result.val:.3f}")
        table.add_row(result.encoder, *numbers, mean, by_class)
    console.print(table)
