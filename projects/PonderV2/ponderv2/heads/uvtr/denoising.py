"""Denoising queries: training queries that start near a known box, so that they need no matching.

DN-DETR (CVPR 2022) in the form of PETRv2 §3.4, which UVTR's denoising head uses: a query is given a noisy position of
its box, and no class.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import VoxelGrid


@dataclass(frozen=True)
class DenoisingQueries:
    """Noisy copies of the boxes of a batch, in groups that hold one copy of each box.

    The number of queries `d` is that of groups times the largest number of boxes in a sample; samples with fewer boxes
    are padded.

    Attributes:
        references: references of the queries as fractions of the grid's range, in [0, 1].
        labels: target class of each query; the number of classes, which means background, when its reference is too
            far from its box; -1 for padding.
        boxes: index, within its sample, of the box that each query is a copy of; meaningless for padding.
        attn_mask: `[B, d + q, d + q]` for the denoising queries followed by the learned ones. True lets the query of
            the first axis attend to the query of the second, False keeps it from doing so, as in
            `torch.nn.functional.scaled_dot_product_attention`. None when there are no denoising queries.
    """

    references: Float[Tensor, "b d 3"]
    labels: Int[Tensor, "b d"]
    boxes: Int[Tensor, "b d"]
    attn_mask: Bool[Tensor, "b t t"] | None


@dataclass(frozen=True)
class Denoising:
    """Makes denoising queries, and weighs their losses.

    This differs from the published code in five points. Centres become fractions of the range whatever the noise is;
    background queries have no box loss; a batch without boxes has no denoising queries; no query attends to padding;
    and noise is drawn along the axes of a box instead of those of the LiDAR, so that the copy of a turned car starts
    within the car.

    Attributes:
        groups: number of copies of each box at most. Crowded samples get fewer, so that there are no more denoising
            queries than learned ones.
        noise_scale: largest noise on each axis, in half sizes of the box; noise is uniform.
        background_beyond: length of the noise, in units of its scale, beyond which a query is background.
        weight: factor of the losses.
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
        """Expected share of the queries that keep their class: the volume of a ball over that of the noise's cube."""
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
        """Make the denoising queries of a batch.

        Args:
            boxes: boxes of each sample, with gravity centres.
            labels: classes of these boxes.
            grid: grid of the volume; references are fractions of its range.
            num_queries: number of learned queries of the decoder.
            num_classes: number of classes, which is the label of background.
            generator: generator of the noise; None takes torch's global one.
        """
        most = max(len(b) for b in boxes)
        groups = 0 if most == 0 else max(1, min(self.groups, num_queries // most))
        first, first_label = boxes[0], labels[0]
        references = first.new_full((len(boxes), groups, most, 3), 0.5)
        classes = first_label.new_full((len(boxes), groups, most), -1)
        for b, (box, label) in enumerate(zip(boxes, labels, strict=True)):
            centers, length = self._noisy_centers(box, groups, generator)
            references[b, :, : len(box)] = grid.to_fraction(centers).clamp(0, 1)
            classes[b, :, : len(box)] = torch.where(length > self.background_beyond, num_classes, label)
        classes = classes.flatten(1)
        box_index = torch.arange(most, device=classes.device).repeat(groups).expand_as(classes)
        attn_mask = denoising_attn_mask(groups, classes < 0, num_queries) if groups else None
        return DenoisingQueries(references.flatten(1, 2), classes, box_index, attn_mask)

    def _noisy_centers(
        self, boxes: Float[Tensor, "n 9"], groups: int, generator: torch.Generator | None
    ) -> tuple[Float[Tensor, "g n 3"], Float[Tensor, "g n"]]:
        """Return centres in metres, and the length of their noise before it is scaled."""
        shape = (groups, len(boxes), 3)
        noise = torch.rand(shape, generator=generator, device=boxes.device, dtype=boxes.dtype) * 2 - 1
        along, across, up = (noise * boxes[:, 3:6] / 2 * self.noise_scale).unbind(dim=-1)
        sine, cosine = boxes[:, 6].sin(), boxes[:, 6].cos()
        shift = torch.stack([along * cosine - across * sine, along * sine + across * cosine, up], dim=-1)
        return boxes[:, :3] + shift, noise.norm(dim=-1)


def denoising_attn_mask(groups: int, padding: Bool[Tensor, "b d"], num_queries: int) -> Bool[Tensor, "b t t"]:
    """Return the mask of self-attention among denoising queries, which come first, and learned queries.

    Every query may attend to all learned queries. Denoising queries may also attend to those of their own group. No
    query may attend to padding. Learned queries must not attend to denoising ones: these know where the boxes are, and
    are missing in inference.

    Args:
        groups: number of groups among the denoising queries.
        padding: True for the denoising queries that are padding.
        num_queries: number of learned queries.

    Returns:
        True where the query of the first axis may attend to the query of the second.
    """
    group = torch.arange(groups, device=padding.device).repeat_interleave(padding.shape[1] // groups)
    group = torch.cat([group, group.new_full((num_queries,), -1)])
    allowed = (group[None, :] == -1) | (group[:, None] == group[None, :])
    padding = torch.cat([padding, padding.new_zeros(len(padding), num_queries)], dim=1)
    return allowed & ~padding[:, None, :]
