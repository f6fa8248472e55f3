"""The base of the image backbones: stages, block masks, frozen parts and activation checkpointing."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ponderv2.masking import resize_block_mask
from ponderv2.shapes import Bool, Float


class MaskedBackbone(nn.Module, ABC):
    """Runs a stem and residual stages of strides 4, 8, 16 and 32 over images with hidden blocks.

    Masking is "sparse by zeroing" (SparK; UniPAD §3.1): hidden pixels are set to zero, and so are hidden
    features wherever a later convolution can read them. A hidden pixel has no influence on any output, and
    outputs at hidden positions are exactly zero. No mask is kept between calls, so recomputation under
    checkpointing and evaluation cannot meet a stale one.

    A subclass fills `stem`, `stages` and, where its maps are normalised on the way out, `norms`, then calls
    `_ready`; it says how one layer runs in `_layer`.

    Attributes:
        channels: width of each returned map.
        strides: width of a cell of each returned map, pixels.
        offsets: pixel, along both axes, on which the first cell of each returned map is centered.

    Args:
        stage_channels: width of every stage.
        out_indices: stages whose maps are returned, ascending. Stages after the last one are not built.
        frozen_stages: number of frozen stages: -1 freezes nothing, 0 the stem, k the stem and the first k stages.
            Frozen parts have no gradient, run under `no_grad` and stay in eval mode. Output norms are never frozen.
        grad_checkpointing: True to keep only the input of each layer and compute the rest again in the backward pass.

    Raises:
        ValueError: when `out_indices` or `frozen_stages` does not fit the number of stages.
    """

    def __init__(
        self,
        stage_channels: Sequence[int],
        out_indices: Sequence[int],
        frozen_stages: int,
        grad_checkpointing: bool,
    ) -> None:
        super().__init__()
        count = len(stage_channels)
        out_indices = tuple(out_indices)
        if not out_indices or list(out_indices) != sorted(set(out_indices) & set(range(count))):
            raise ValueError(f"out_indices are ascending stages out of 0..{count - 1}, not {out_indices}")
        if not -1 <= frozen_stages <= out_indices[-1] + 1:
            raise ValueError(
                f"frozen_stages is -1 (none), 0 (stem) or up to {out_indices[-1] + 1} (stem and as many "
                f"stages as are built), not {frozen_stages}"
            )
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.grad_checkpointing = grad_checkpointing
        self.channels = tuple(stage_channels[i] for i in out_indices)
        self.strides = tuple(4 * 2**i for i in out_indices)
        self.offsets = tuple(self._first_center(stride) for stride in self.strides)
        self.norms = nn.ModuleDict()

    def forward(
        self, images: Float[Tensor, "n 3 h w"], visible: Bool[Tensor, "m hb wb"] | None = None
    ) -> tuple[Tensor, ...]:
        """Compute the feature maps of the stages in `out_indices`.

        Args:
            images: normalised images, padded to a multiple of the block edge when masked.
            visible: visibility of the square blocks, one mask for each image (m = n), on any grid whose cells are
                whole pixels and multiples or fractions of the cells of the maps; None hides nothing.

        Returns:
            A map `[N, channels[k], H / strides[k], W / strides[k]]` for each stage.

        Raises:
            ValueError: when there is not one mask for each image, or the grid of the masks does not divide the image.
        """
        if visible is not None and len(visible) != len(images):
            raise ValueError(f"{len(visible)} masks for {len(images)} images")
        maps = []
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen_stages < 0):
            x = self._stem(set_zero(images, hidden_at(visible, images)), visible)
        for index, stage in enumerate(self.stages):
            with torch.set_grad_enabled(torch.is_grad_enabled() and index >= self.frozen_stages):
                x = self._stage(stage, x, visible)
            if index in self.out_indices:
                maps.append(self._output(index, x, visible))
        return tuple(maps)

    def train(self, mode: bool = True) -> "MaskedBackbone":
        """Set the mode as `nn.Module.train` does; frozen parts stay in eval mode."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        return self

    def _ready(self) -> None:
        """Freeze what is to be frozen, once the modules exist."""
        for module in self._frozen():
            module.requires_grad_(False)
        self.train()

    def _frozen(self) -> list[nn.Module]:
        return [] if self.frozen_stages < 0 else [self.stem, *self.stages[: self.frozen_stages]]

    def _output(self, index: int, x: Tensor, visible: Tensor | None) -> Tensor:
        if str(index) not in self.norms:
            return x
        # A LayerNorm turns zeros into its bias.
        return set_zero(self.norms[str(index)](x), hidden_at(visible, x))

    def _run(self, layer: nn.Module, *args: Tensor | None) -> Tensor:
        """Run one layer, with or without checkpointing; dropped paths are dropped again in the second run."""
        if self.grad_checkpointing and torch.is_grad_enabled():
            return checkpoint(self._layer, layer, *args, use_reentrant=False)
        return self._layer(layer, *args)

    @abstractmethod
    def _first_center(self, stride: int) -> float:
        """Tell on which pixel, along both axes, the first cell of a map of that stride is centered."""

    @abstractmethod
    def _stem(self, images: Tensor, visible: Tensor | None) -> Tensor:
        """Turn images, whose hidden pixels are zero, into features of stride 4."""

    @abstractmethod
    def _stage(self, stage: nn.Module, x: Tensor, visible: Tensor | None) -> Tensor:
        """Run all of one stage."""

    @abstractmethod
    def _layer(self, layer: nn.Module, *args: Tensor | None) -> Tensor:
        """Run one residual layer; it is called through `_run`."""


def hidden_at(visible: Bool[Tensor, "n hb wb"] | None, x: Float[Tensor, "n c h w"]) -> Bool[Tensor, "n 1 h w"] | None:
    """Compute the mask of hidden positions at the resolution of `x`; None when nothing is hidden."""
    return None if visible is None else ~resize_block_mask(visible, tuple(x.shape[-2:])).unsqueeze(1)


def set_zero(x: Float[Tensor, "n c h w"], hidden: Bool[Tensor, "n 1 h w"] | None) -> Float[Tensor, "n c h w"]:
    """Put zeros where `hidden`; they are filled in, not multiplied, so that nan and inf do not come through."""
    # Unlike `masked_fill`, `where` leaves channels last in memory if they are.
    return x if hidden is None else torch.where(hidden, x.new_zeros(()), x)
