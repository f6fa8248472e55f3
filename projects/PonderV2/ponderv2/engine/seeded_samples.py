"""Samples whose random draws depend on the seed of the training and on their place in its order alone."""

import random
from collections.abc import Iterator, Mapping, Sized
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import DataLoader, Dataset, Sampler

ITERATION, SAMPLE = 1, 2
"""First words of keys: what an iteration draws is never what a sample draws. A word 0 at the end does not make a key of
`SeedSequence` another one."""


def seed_all(*key: int) -> None:
    """Seed the generators of Python, numpy and torch, those of GPUs in use too, by a key of numbers of at least 0."""
    words = np.random.SeedSequence(key).generate_state(3).tolist()
    random.seed(words[0])
    np.random.seed(words[1])
    # `torch.manual_seed` takes milliseconds where there is no GPU.
    torch.default_generator.manual_seed(words[2])
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(words[2])


class Draw(NamedTuple):
    """The index of a sample, and the key of what is drawn for it."""

    index: int
    key: tuple[int, ...]


@DATASETS.register_module()
class SeededDataset(Dataset):
    """A data set that seeds all generators before it prepares a sample.

    What transforms draw then depends neither on the number of worker processes, on what they prepared before and how
    far ahead they are, nor on whether the training was resumed. A plain index, as of a hook that draws a picture, seeds
    nothing.

    Args:
        dataset: the data set, or its config; its attributes are also those of this one.
    """

    def __init__(self, dataset: Sized | Mapping) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        if isinstance(self.dataset, BaseDataset):
            self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, draw: Draw | int) -> object:
        if isinstance(draw, Draw):
            seed_all(SAMPLE, *draw.key)
            draw = draw.index
        return self.dataset[draw]

    def __getattr__(self, name: str) -> object:
        # There is no data set before __init__, as in a copy that is being made; and loaders would hand draws to the
        # `__getitems__` of one that has it, as torch's `Subset` does.
        if name in ("dataset", "__getitems__"):
            raise AttributeError(name)
        return getattr(self.dataset, name)


@DATA_SAMPLERS.register_module()
class PlacedSampler(Sampler):
    """Gives the indices of another sampler as `Draw`s, from any place in its order on.

    The key of a sample is the seed of the order, the epoch, and the place in the order of all processes. So samples are
    the same however many processes share the batch.

    Args:
        dataset: the data set.
        sampler: config of the other sampler, which deals its order out to processes in turn, as mmengine's do.
        seed: its seed unless the config has one.

    Attributes:
        epoch: number of the order.
        position: number of its samples that this process has trained on.
    """

    def __init__(self, dataset: Sized, sampler: Mapping, seed: int | None = None) -> None:
        self.sampler = DATA_SAMPLERS.build(sampler, default_args=dict(dataset=dataset, seed=seed))
        self.seed = getattr(self.sampler, "seed", seed) or 0
        self.rank, self.world_size = get_dist_info()
        self.epoch = self.position = 0

    def __iter__(self) -> Iterator[Draw]:
        epoch = self.epoch
        for place, index in islice(enumerate(self.sampler), self.position, None):
            yield Draw(index, (self.seed, epoch, place * self.world_size + self.rank))

    def __len__(self) -> int:
        """Return the number of samples of this process in an epoch."""
        return len(self.sampler)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order."""
        self.epoch = epoch
        self.sampler.set_epoch(epoch)

    def state(self) -> dict[str, int]:
        """Return what a checkpoint keeps: the epoch, and the number of its samples that were trained on."""
        return {"epoch": self.epoch, "samples": self.position * self.world_size}

    def go_on(self, state: Mapping[str, int]) -> None:
        """Go on from the state of a checkpoint, which another number of processes may have written."""
        self.set_epoch(state["epoch"])
        self.position = state["samples"] // self.world_size


def can_have_places(loader: DataLoader | Mapping) -> bool:
    """Whether `with_places` takes a data loader: the config of one, in which every batch has the same size."""
    return isinstance(loader, Mapping) and isinstance(loader.get("sampler"), Mapping) and "batch_sampler" not in loader


def with_places(loader: Mapping) -> dict:
    """Return a copy of the config of a training's data loader with a `SeededDataset` and a `PlacedSampler`."""
    return dict(
        loader,
        dataset=dict(type=SeededDataset, dataset=loader["dataset"]),
        sampler=dict(type=PlacedSampler, sampler=loader["sampler"]),
    )
