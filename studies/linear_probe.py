"""What a frozen volume tells a linear classifier about objects: a look at an encoder that needs no training."""

import argparse
import copy
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
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from ponderv2.datasets.box_points import gravity_boxes, points_in_box
from ponderv2.engine.launch import add_common_arguments, load_config
from ponderv2.registry import DATASETS, MODELS
from ponderv2.shapes import Float, Int
from ponderv2.structures import VoxelGrid

from .transfer_study import innermost

SCRATCH = "scratch"
NO_OBJECT = -1
FEWEST_CELLS = 20


@dataclass(frozen=True)
class Cells:
    """Cells of some frames.

    Attributes:
        features: what the volume holds there, `[N, C]`, each channel of mean 0 and variance 1 over its frame.
        classes: of the object that the cell lies in, `[N]`; -1 in none.
    """

    features: Float[np.ndarray, "n c"]
    classes: Int[np.ndarray, "n"]


@dataclass(frozen=True)
class ProbeResult:
    """How well a linear classifier tells cells apart: area under the ROC curve, 0.5 is a guess and 1 is perfect.

    Attributes:
        encoder: which one.
        train, val: object or none, on the frames the classifier was fitted to and on others.
        classes: one class against all other cells, on the other frames, by name; of classes with at least 20 cells
            in both.
        dimensions: how many directions the features use, (Σλ)² / Σλ² of the eigenvalues of their correlations: 1 when
            all channels say the same, their number when none does.
    """

    encoder: str
    train: float
    val: float
    classes: dict[str, float]
    dimensions: float


def cell_classes(boxes: Float[Tensor, "n 7"], labels: Int[Tensor, "n"], grid: VoxelGrid) -> Int[np.ndarray, "z y x"]:
    """The class of the box that each cell's centre lies in, -1 for none.

    A box too small to hold a centre has the cell that its own centre lies in; one outside the grid has none. Where
    boxes overlap the later one counts.

    Args:
        boxes: (x, y, z, l, w, h, yaw), gravity centre, metres and radians.
        labels: class of each.
        grid: of the volume.
    """
    centers = grid.centers().reshape(-1, 3).numpy()
    classes = np.full(len(centers), NO_OBJECT)
    for box, label in zip(boxes.double(), labels.tolist(), strict=True):
        inside = points_in_box(centers, box.numpy())
        if len(inside) == 0 and grid.contains(box[:3]):
            x, y, z = grid.to_index(box[:3]).round().long().tolist()
            inside = np.ravel_multi_index((z, y, x), grid.shape, mode="clip")
        classes[inside] = label
    return classes.reshape(grid.shape)


@torch.no_grad()
def collect(model: nn.Module, loader: Iterable[dict], free_cells: int, seed: int = 0) -> Cells:
    """All cells in objects, and some others of each frame.

    Args:
        model: a detector; its `tensor` mode gives the volume.
        loader: frames with boxes.
        free_cells: drawn at random from those in no object, of each frame.
        seed: of the draw.
    """
    random = np.random.default_rng(seed)
    features, classes = [], []
    for data in tqdm(loader, desc="frames", leave=False):
        data = model.data_preprocessor(data)
        volume = model(**data, mode="tensor")
        for values, sample in zip(F.instance_norm(volume.data).cpu(), data["data_samples"], strict=True):
            truth = sample.gt_instances_3d
            boxes = torch.from_numpy(gravity_boxes(truth.bboxes_3d))
            found = cell_classes(boxes, truth.labels_3d.cpu(), model.encoder.grid).ravel()
            free = np.flatnonzero(found == NO_OBJECT)
            chosen = random.choice(free, min(free_cells, len(free)), replace=False)
            chosen = np.concatenate([np.flatnonzero(found != NO_OBJECT), chosen])
            features.append(values.flatten(1).T.numpy()[chosen])
            classes.append(found[chosen])
    return Cells(np.concatenate(features), np.concatenate(classes))


def probe(encoder: str, train: Cells, val: Cells, names: Sequence[str]) -> ProbeResult:
    """Fit to some frames, score on others.

    Args:
        encoder: its name.
        train, val: cells of the frames to fit to and to score on.
        names: of the classes.

    Raises:
        ValueError: when either has no object.
    """
    for cells, what in ((train, "training"), (val, "validation")):
        if not (cells.classes != NO_OBJECT).any():
            raise ValueError(f"no object in the {what} frames: nothing to tell apart")
    on_train, on_val = _auc(train, val, lambda classes: classes != NO_OBJECT)
    enough = [k for k in range(len(names)) if min((c.classes == k).sum() for c in (train, val)) >= FEWEST_CELLS]
    by_class = {names[k]: _auc(train, val, lambda classes, k=k: classes == k)[1] for k in enough}
    return ProbeResult(encoder, on_train, on_val, by_class, _dimensions(train.features))


def _auc(train: Cells, val: Cells, is_positive: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    classifier = LogisticRegression(max_iter=200, class_weight="balanced")
    with warnings.catch_warnings():
        # The last digits of the weights do not matter here.
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


def datasets_of(config: Config) -> tuple[ConfigDict, ConfigDict]:
    """Frames to fit to and frames to score on, each once, with boxes, as the training pipeline gives them."""
    train = copy.deepcopy(innermost(config.train_dataloader)[1])
    val = train | {"ann_file": innermost(config.val_dataloader)[1].ann_file}
    val.pop("fraction", None)
    return train, ConfigDict(val)


def frames_of(dataset: Dataset, most: int) -> DataLoader:
    """Frame after frame; `most` of them, spread evenly, where there are more."""
    count = len(dataset)
    chosen = range(count) if count <= most else [k * count // most for k in range(most)]
    return DataLoader(Subset(dataset, chosen), batch_size=1, collate_fn=pseudo_collate)


def build_detector(config: Config, encoder: str, seed: int, device: str) -> nn.Module:
    """The detector of a recipe with the given encoder, "scratch" for none, in evaluation mode.

    Raises:
        FileNotFoundError, ValueError: as `ponderv2.checkpoints.load_encoder`.
    """
    torch.manual_seed(seed)
    start = None if encoder == SCRATCH else dict(config.model.get("init_cfg") or {}) | {"checkpoint": encoder}
    model = MODELS.build(config.model | {"init_cfg": start})
    logger = MMLogger.get_current_instance()
    level = logger.level
    # Initialising reports every parameter.
    logger.setLevel(logging.WARNING)
    try:
        model.init_weights()
    finally:
        logger.setLevel(level)
    return model.to(device).eval()


def parse_arguments(description: str, arguments: list[str] | None = None) -> argparse.Namespace:
    """Arguments of tools/linear_probe.py."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument(
        "--encoders",
        nargs="+",
        required=True,
        help=f"encoder.safetensors or checkpoints; {SCRATCH!r}: as the recipe's twin",
    )
    parser.add_argument(
        "--free-cells", type=int, default=2000, help="cells in no object, a frame (default %(default)s)"
    )
    parser.add_argument("--frames", type=int, default=200, help="of either set, at most (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of scratch encoders and of the choice of cells")
    parser.add_argument("--json", type=Path, help="also write the numbers")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args(arguments)


def main(description: str, arguments: list[str] | None = None) -> int:
    """Probe the encoders and print a table; returns the exit code: 0 done, 2 the input cannot be used."""
    given = parse_arguments(description, arguments)
    try:
        config = load_config(given.config, given.data_root, given.cfg_options)
        datasets = [DATASETS.build(dataset) for dataset in datasets_of(config)]
        loaders = [frames_of(dataset, given.frames) for dataset in datasets]
        names = datasets[0].metainfo["classes"]
        results = []
        for encoder in given.encoders:
            model = build_detector(config, encoder, given.seed, given.device)
            cells = [collect(model, loader, given.free_cells, given.seed) for loader in loaders]
            results.append(probe(encoder, *cells, names))
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    # A pipe or a file has no width; the table needs some.
    print_results(results, Console(width=None if sys.stdout.isatty() else 150))
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    return 0


def print_results(results: Sequence[ProbeResult], console: Console) -> None:
    """A row for each encoder."""
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
