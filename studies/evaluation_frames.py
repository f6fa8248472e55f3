"""Labelled frames as a detector is evaluated on them: its evaluation pipeline with boxes, nothing drawn at random."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmdet3d.datasets.transforms import LoadAnnotations3D
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader, Dataset, Subset

from ponderv2.datasets.transforms.sample_generator import sample_generator
from ponderv2.engine import innermost_dataset

from .recipe_parts import type_name
from .runs import StudyError

_LOAD_BOXES = dict(type=LoadAnnotations3D, with_bbox_3d=True, with_label_3d=True)


def evaluation_datasets(config: Config) -> tuple[ConfigDict, ConfigDict]:
    """Return the training and the validation data set of a detector's recipe, both through evaluation with boxes.

    Their pipeline is that of the validation data set, which augments nothing, pastes no objects and takes the nearest
    sweeps, with the boxes loaded before the frame is packed. Each data set keeps its own frames and its own rule of
    which boxes count: info file, fraction, interval, valid flag. Frames without boxes are kept.

    Args:
        config: the recipe.

    Raises:
        StudyError: the validation pipeline does not end with `PackSensorInputs`.
    """
    train, val = (innermost_dataset(loader)[1] for loader in (config.train_dataloader, config.val_dataloader))
    steps = [type_name(step) for step in val.pipeline]
    if not steps or steps[-1] != "PackSensorInputs":
        raise StudyError(
            f"{config.filename}: val_dataloader's pipeline is {steps}, expected PackSensorInputs at its end: boxes are "
            "loaded right before it"
        )
    boxes = [] if "LoadAnnotations3D" in steps else [_LOAD_BOXES]
    # Boxes are handed to pipelines outside of the test mode only.
    labelled = {
        "pipeline": [*val.pipeline[:-1], *boxes, val.pipeline[-1]],
        "test_mode": False,
        "filter_empty_gt": False,
    }
    return ConfigDict(copy.deepcopy(train | labelled)), ConfigDict(copy.deepcopy(val | labelled))


class SeededFrames(Dataset):
    """A data set whose frames depend on the seed and on their tokens alone, whatever was loaded before them.

    Evaluation pipelines draw nothing as a rule. Where one does, it draws the same for a frame each time: in any order,
    in any worker process and beside any other frames. The generators of the process are left as they were.

    Args:
        dataset: a data set of key frames.
        seed: seed of what pipelines draw.
    """

    def __init__(self, dataset: Dataset, seed: int = 0) -> None:
        self.dataset, self.seed = dataset, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict:
        with _seeded(int(sample_generator(self.seed, self.dataset.get_data_info(index)).integers(2**32))):
            return self.dataset[index]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generators of Python, numpy and torch (CPU), and put them back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)
        # That of the CPU alone: `torch.manual_seed` would seed GPUs as well, which are not put back.
        torch.random.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def frames_of(dataset: Dataset, most: int, workers: int = 0) -> DataLoader:
    """Return a loader of single frames, of at most `most` of them; of more frames it takes evenly spaced ones.

    Args:
        dataset: the frames.
        most: largest number of frames.
        workers: number of processes that load; 0 loads in this one.
    """
    count = len(dataset)
    chosen = range(count) if count <= most else [k * count // most for k in range(most)]
    return DataLoader(Subset(dataset, chosen), batch_size=1, collate_fn=pseudo_collate, num_workers=workers)
