"""Class-balanced grouping and sampling (CBGS)."""

from logging import WARNING

import numpy as np
from mmdet3d.datasets import CBGSDataset
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from ponderv2.registry import DATASETS


@DATASETS.register_module()
class PonderCBGSDataset(CBGSDataset):
    """A data set whose frames are drawn for every class equally often (Zhu et al. 2019, arXiv 1908.09492 §3.1).

    With D the sum over classes of the frames that show the class, and K classes, D // K frames are drawn for each
    class, with replacement, from those that show it; on nuScenes' training split 28,130 frames become about
    123,580. mmdet3d's `CBGSDataset` does the same where it works. It divides by zero for a class that no frame
    shows, as happens in mini or with a fraction of the frames, and draws from numpy's global generator, so that
    ranks that are seeded differently see different data sets. Here K counts the classes that are there, and
    the draw depends on `seed` and the frames alone: all ranks and resumed runs have the same frames. As published
    it is drawn once, not anew every epoch.

    The numbers of frames and classes are logged.

    Args:
        dataset: detection data set, or its config.
        seed: seed of the draw.
        lazy_init: whether annotations are loaded later, as in mmdet3d.

    Raises:
        ValueError: no frame shows any class.
    """

    def __init__(self, dataset: BaseDataset | dict, seed: int = 0, lazy_init: bool = False) -> None:
        # Before the base class draws.
        self.seed = seed
        super().__init__(dataset, lazy_init)

    @property
    def ratio(self) -> float:
        """The number of frames drawn over the number of frames there are."""
        return len(self) / len(self.dataset)

    def _get_sample_indices(self, dataset: BaseDataset) -> list[int]:
        classes = self.metainfo["classes"]
        shown_by: dict[int, list[int]] = {label: [] for label in range(len(classes))}
        for index in range(len(dataset)):
            for label in sorted(dataset.get_cat_ids(index)):
                if label >= 0:
                    shown_by[label].append(index)
        absent = [classes[label] for label, frames in shown_by.items() if not frames]
        present = {label: frames for label, frames in shown_by.items() if frames}
        if not present:
            raise ValueError(
                f"PonderCBGSDataset: none of {len(dataset)} frames shows any of {list(classes)}; nothing to balance"
            )
        count = sum(map(len, present.values())) // len(present)
        rng = np.random.default_rng(self.seed)
        drawn = [index for frames in present.values() for index in rng.choice(frames, count).tolist()]
        print_log(
            f"PonderCBGSDataset: {len(dataset)} frames become {len(drawn)} ({len(drawn) / len(dataset):.2f}×), "
            f"{count} for each of {len(present)} classes; shown by frames before: "
            + ", ".join(f"{classes[label]} {len(frames)}" for label, frames in present.items()),
            logger="current",
        )
        if absent:
            print_log(f"PonderCBGSDataset: no frame shows {absent}", logger="current", level=WARNING)
        return drawn
