"""Queries that start beside a known box and have to find it: training without the uncertainty of matching.

DN-DETR (CVPR 2022) in the form of PETRv2 §3.4, which UVTR's denoising head uses: queries know where they start, not
what they look for.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import VoxelGrid


@dataclass(frozen=True)
class DenoisingQueries:
    """Noisy copies of the boxes of a batch, in groups of one copy a box; `d` = groups × most boxes of a sample.

    Attributes:
        references: where the queries start, as fractions of the grid's range, in [0, 1].
        labels: class; the number of classes (background) when the start is too far off; -1 for padding.
        boxes: which box of its sample a query copies; meaningless for padding.
        visible: `[B, d + q, d + q]`, which query (first axis) may look at which, these before the learned ones;
            None when there is none.
    """

    references: Float[Tensor, "b d 3"]
    labels: Int[Tensor, "b d"]
    boxes: Int[Tensor, "b d"]
    visible: Bool[Tensor, "b t t"] | None


@dataclass(frozen=True)
class Denoising:
    """How noisy copies are made.

    Beside the published code: centres are normalised whatever the noise, background copies have no box loss, a
    batch without boxes is one without copies, padding is hidden, and noise is along a box's own axes instead of
    those of the LiDAR, so that a copy of a turned car starts within the car.

    Attributes:
        groups: copies of each box at most; fewer in crowded samples, to have no more copies than queries.
        noise_scale: noise in half sizes of the box, a uniform share of it on each axis.
        background_beyond: copies become background when the length of the noise in units of its scale is more.
        weight: of the losses.
    """

    groups: int = 10
    noise_scale: float = 1.0
    background_beyond: float = 0.75
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.groups < 1:
            raise ValueError(f"denoising.groups: expected at least 1, got {self.groups}")
        if not 0 < self.background_beyond <= 1:
            raise ValueError(f"denoising.background_beyond: expected within (0, 1], got {self.background_beyond}")

    @property
    def expected_share(self) -> float:
        """Share of copies that keep their class: of a ball in the cube of the noise."""
        return math.pi / 6 * self.background_beyond**3

    def __call__(
        self,
        boxes: list[Float[Tensor, "_ 9"]],
        labels: list[Int[Tensor, "_"]],
        grid: VoxelGrid,
        num_queries: int,
        num_classes: int,
        generator: torch.Generator | None = None,
    ) -> DenoisingQueries:
        """Make the queries of a batch.

        Args:
            boxes: of each sample, with gravity centres.
            labels: their classes.
            grid: whose range references are fractions of.
            num_queries: learned queries of the decoder.
            num_classes: the label of background.
            generator: of the noise; torch's global one if None.
        """
        most = max(len(b) for b in boxes)
        groups = 0 if most == 0 else max(1, min(self.groups, num_queries // most))
        first, first_label = boxes[0], labels[0]
        references = first.new_full((len(boxes), groups, most, 3), 0.5)
        classes = first_label.new_full((len(boxes), groups, most), -1)
        for b, (box, label) in enumerate(zip(boxes, labels, strict=True)):
            centers, length = self._noisy_centers(box, groups, generator)
            references[b, :, : len(box)] = grid_fractions(centers, grid)
            classes[b, :, : len(box)] = torch.where(length > self.background_beyond, num_classes, label)
        classes = classes.flatten(1)
        copied = torch.arange(most, device=classes.device).repeat(groups).expand_as(classes)
        visible = visible_queries(groups, classes < 0, num_queries) if groups else None
        return DenoisingQueries(references.flatten(1, 2), classes, copied, visible)

    def _noisy_centers(
        self, boxes: Float[Tensor, "n 9"], groups: int, generator: torch.Generator | None
    ) -> tuple[Float[Tensor, "g n 3"], Float[Tensor, "g n"]]:
        """Centres in metres and the length of their noise before its scale."""
        shape = (groups, len(boxes), 3)
        noise = torch.rand(shape, generator=generator, device=boxes.device, dtype=boxes.dtype) * 2 - 1
        along, across, up = (noise * boxes[:, 3:6] / 2 * self.noise_scale).unbind(dim=-1)
        sine, cosine = boxes[:, 6].sin(), boxes[:, 6].cos()
        shift = torch.stack([along * cosine - across * sine, along * sine + across * cosine, up], dim=-1)
        return boxes[:, :3] + shift, noise.norm(dim=-1)


def grid_fractions(points: Float[Tensor, "*n 3"], grid: VoxelGrid) -> Float[Tensor, "*n 3"]:
    """Metres to fractions of the grid's range, those outside at its edge."""
    lower, upper = points.new_tensor(grid.lower), points.new_tensor(grid.upper)
    return ((points - lower) / (upper - lower)).clamp(0, 1)


def visible_queries(groups: int, padding: Bool[Tensor, "b d"], num_queries: int) -> Bool[Tensor, "b t t"]:
    """Which query may look at which: everyone at learned queries, copies also at their own group, none at padding.

    Copies know where boxes are, so learned queries, which have no such help later, must not see them.
    """
    group = torch.arange(groups, device=padding.device).repeat_interleave(padding.shape[1] // groups)
    group = torch.cat([group, group.new_full((num_queries,), -1)])
    allowed = (group[None, :] == -1) | (group[:, None] == group[None, :])
    padding = torch.cat([padding, padding.new_zeros(len(padding), num_queries)], dim=1)
    return allowed & ~padding[:, None, :]
