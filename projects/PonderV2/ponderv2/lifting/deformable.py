"""The deformable lift: queries of the volume's cells read the images by deformable attention (BEVFormer)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmcv.ops import MultiScaleDeformableAttention
from mmdet.models.layers import LearnedPositionalEncoding
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ponderv2.errors import UserError
from ponderv2.geometry import MIN_DEPTH, in_image, project
from ponderv2.shapes import Bool, Float
from ponderv2.structures import CameraRig, MapCells, PastVolume, VoxelGrid, cells_of_levels, constant

from .can_bus_layers import can_bus_mlp
from .deformable_attention import Hits, ImageCrossAttention, ImageTokens
from .pull import seen_cells
from .temporal_attention import NUM_POINTS, TemporalSelfAttention, attend_to_plane


class DeformableLift(BaseModule):
    """Reads images into cells by deformable attention: BEVFormer's encoder, or voxels as in UniPAD.

    Every cell has a learned query. Its reference points, at some heights in the cell, are projected into all views, and
    the query samples the maps around them in the views that see one, see `ImageCrossAttention`. A layer is
    self-attention over the cells of each height, cross-attention to the images and a feed-forward net, with a norm
    after each (BEVFormer §3.2). With one cell in height and four reference points it is BEVFormer's encoder of pillars,
    with `history` the temporal one; with one reference point, one layer, and neither self-attention nor feed-forward
    net it is UniPAD's "Uni3DCrossAttn".

    A cell that no view sees keeps what layers make of its query alone: no feature of an image, and not zero. Depths are
    not used, so a camera encoder with this lift has no depth network. The lift computes in float32 under autocast:
    mmcv's operator has no bfloat16, and coordinates need it.

    Args:
        channels: channels of the feature maps and of the volume; even.
        size: number of cells (nx, ny, nz), that of the grid.
        reference_heights: heights of the reference points of a cell as fractions of its own; published (1/16, 17/48,
            31/48, 15/16) of a pillar of 8 m, and UniPAD's voxels have one.
        num_layers: number of layers; BEVFormer-base 6, -small and -tiny 3.
        num_levels: number of feature maps.
        num_heads: heads of the attentions; published 8.
        num_points: sampling points of a head in each map, all reference points together; published 8.
        self_attention: whether cells attend to cells of the same height, at four points as published.
        ffn_channels: hidden channels of the feed-forward nets, published 512; None for none.
        num_cameras: number of cameras that have an embedding of their own, published 6; None for none, so that any rig
            fits.
        dropout: probability of all dropouts; published 0.1.
        grad_checkpointing: whether layers are computed again in the backward pass, which saves most of the memory.
        history: whether cells also attend to the volume of the frame before, see `TemporalSelfAttention`.
        missing_history: what stands for that at the start of a scene, "left_out" or, published, "current".
        can_bus: whether what two layers and a norm make of the car's signals is added to the queries of all cells, as
            published.

    Raises:
        ValueError: when numbers do not fit together, a reference height is not in its cell, or there is a history but
            no self-attention.
    """

    reads_depths = False

    def __init__(
        self,
        channels: int,
        size: Sequence[int],
        reference_heights: Sequence[float] = (0.5,),
        num_layers: int = 1,
        num_levels: int = 4,
        num_heads: int = 8,
        num_points: int = 8,
        self_attention: bool = True,
        ffn_channels: int | None = 512,
        num_cameras: int | None = None,
        dropout: float = 0.1,
        grad_checkpointing: bool = False,
        history: bool = False,
        missing_history: str = "left_out",
        can_bus: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.size = tuple(size)
        self.reference_heights = tuple(reference_heights)
        if channels % 2:
            raise ValueError(f"channels: expected an even number, got {channels}")
        if len(self.size) != 3 or min(self.size) < 1:
            raise ValueError(f"size: expected 3 positive cell counts (nx, ny, nz), got {self.size}")
        if not self.reference_heights or not all(0 <= height <= 1 for height in self.reference_heights):
            raise ValueError(f"reference_heights: expected fractions in [0, 1], got {self.reference_heights}")
        if history and not self_attention:
            raise ValueError("history: cells attend to the frame before in their self-attention, and there is none")
        nx, ny, nz = self.size
        self.reads_history, self.reads_can_bus = history, can_bus
        self.num_levels = num_levels
        self.grad_checkpointing = grad_checkpointing
        self.queries = nn.Embedding(nz * ny * nx, channels)
        self.position = LearnedPositionalEncoding(channels // 2, row_num_embed=ny, col_num_embed=nx)
        self.level_embeds = nn.Parameter(torch.randn(num_levels, channels))
        self.camera_embeds = None if num_cameras is None else nn.Parameter(torch.randn(num_cameras, channels))
        self.can_bus_mlp = can_bus_mlp(channels) if can_bus else None
        self.layers = ModuleList(
            DeformableLayer(
                self.size,
                ImageCrossAttention(channels, num_heads, num_levels, num_points, len(self.reference_heights), dropout),
                channels,
                _self_attention(channels, num_heads, dropout, history, missing_history) if self_attention else None,
                ffn_channels,
                dropout,
            )
            for _ in range(num_layers)
        )
        self.self_attention = self_attention

    def forward(
        self,
        features: list[Tensor],
        depths: list[Tensor] | None,
        strides: tuple[int, ...],
        rig: CameraRig,
        grid: VoxelGrid,
        offsets: tuple[float, ...] | None = None,
        past: PastVolume | None = None,
        can_bus: Float[Tensor, "b 18"] | None = None,
    ) -> Float[Tensor, "b c z y x"]:
        """Lift the features of all cameras and levels.

        Args:
            features: feature maps `[B, N, C, H_l, W_l]`, one for each level.
            depths: not used; it is there for all lifts to be called alike.
            strides: width of a cell of each level, pixels.
            rig: cameras of the batch.
            grid: cells that are filled.
            offsets: pixel on which the first cell of each level is centered; None for `(stride - 1) / 2`.
            past: the volume of the frame before; None where no sample has one.
            can_bus: signals of the car, see `SensorBatch`.

        Raises:
            UserError: when the grid, the number of maps or that of cameras is another one than the lift was built for,
                the grid has the published placement, which is that of the other lifts, there is a frame before and the
                lift was built without history, or there are no signals and it was built with them.
        """
        self._check(features, grid)
        if past is not None and not self.reads_history:
            raise UserError("DeformableLift: there is a frame before; expected history=True of a lift that reads it")
        if can_bus is None and self.reads_can_bus:
            raise UserError("DeformableLift: can_bus=True, but there are no signals; put LoadCanBus into the pipeline")
        device, batch = features[0].device, len(features[0])
        dtype = torch.promote_types(features[0].dtype, torch.float32)
        with torch.autocast(device_type=device.type, enabled=False):
            levels = cells_of_levels(strides, offsets, rig, grid)
            hits = self._hits([tuple(f.shape[-2:]) for f in features], levels, rig, grid)
            tokens = self._tokens([f.to(dtype) for f in features], levels, rig)
            plane = torch.zeros(1, *grid.shape[1:], dtype=torch.bool, device=device)
            position = self.position(plane).flatten(2).transpose(1, 2)
            queries = self.queries.weight.expand(batch, -1, -1)
            if self.can_bus_mlp is not None:
                queries = queries + self.can_bus_mlp(can_bus.to(dtype))[:, None]
            if not self.self_attention:
                queries = (queries.unflatten(1, (grid.size[2], -1)) + position).flatten(1, 2)
            history = None
            if past is not None:
                earlier = past.volume.data.to(dtype).flatten(2).transpose(1, 2)
                history = PastCells(earlier, past.exists, first=queries)
            for layer in self.layers:
                if self.grad_checkpointing and torch.is_grad_enabled():
                    queries = checkpoint(layer, queries, position, tokens, hits, history, use_reentrant=False)
                else:
                    queries = layer(queries, position, tokens, hits, history)
            return queries.transpose(1, 2).unflatten(2, grid.shape)

    def _check(self, features: list[Tensor], grid: VoxelGrid) -> None:
        if grid.size != self.size:
            raise UserError(f"DeformableLift: lift.size is {self.size}, but the grid has {grid.size} cells (x, y, z)")
        if grid.published:
            raise UserError("DeformableLift: placement='published' is not for this lift; expected 'centered'")
        if len(features) != self.num_levels:
            raise UserError(f"DeformableLift: num_levels is {self.num_levels}, but there are {len(features)} maps")
        if self.camera_embeds is not None and features[0].shape[1] != len(self.camera_embeds):
            cameras, expected = features[0].shape[1], len(self.camera_embeds)
            raise UserError(f"DeformableLift: num_cameras is {expected}, but there are {cameras} cameras")

    @torch.no_grad()
    def _hits(self, sizes: list[tuple[int, int]], levels: list[MapCells], rig: CameraRig, grid: VoxelGrid) -> Hits:
        lidar2img = rig.lidar2img.float()
        device, (batch, cameras), references = lidar2img.device, lidar2img.shape[:2], len(self.reference_heights)
        centers = grid.centers(device).reshape(-1, 1, 3)
        up = constant([(height - 0.5) * grid.voxel_size[2] for height in self.reference_heights], device)
        points = torch.stack([*centers[..., :2].expand(-1, references, -1).unbind(-1), centers[..., 2] + up], dim=-1)
        pixels, depth = project(points.flatten(0, 1).expand(batch, cameras, -1, 3), lidar2img)
        seen = in_image(pixels, rig.image_size) & (depth > MIN_DEPTH)
        pixels, seen = (t.flatten(0, 1).unflatten(1, (-1, references)) for t in (pixels, seen))
        # Those that each view of each sample sees itself.
        cell, valid = seen_cells(seen.any(dim=-1))
        seen = seen.gather(1, cell[..., None].expand(-1, -1, references)) & valid[..., None]
        pixels = pixels.gather(1, cell[..., None, None].expand(-1, -1, references, 2))
        places = [(place.normalized(pixels, size) + 1) / 2 for place, size in zip(levels, sizes, strict=True)]
        # What is not seen may project to anywhere; its weight is zero, and so it is put to where numbers are small.
        locations = torch.stack(places, dim=2).where(seen[:, :, None, :, None], 0.5)
        first = torch.arange(batch, device=device).repeat_interleave(cameras) * len(centers)
        return Hits(first[:, None] + cell, locations, seen)

    def _tokens(self, features: list[Tensor], levels: list[MapCells], rig: CameraRig) -> ImageTokens:
        data, padding, sizes = [], [], []
        for level, (feature, cells) in enumerate(zip(features, levels, strict=True)):
            embedding = self.level_embeds[level]
            if self.camera_embeds is not None:
                embedding = embedding + self.camera_embeds
            # Either [C] or [N, C].
            feature = feature + embedding[..., None, None]
            data.append(feature.flatten(0, 1).flatten(2).transpose(1, 2))
            sizes.append(tuple(feature.shape[-2:]))
            padding.append(_in_padding(cells, sizes[-1], rig).flatten(0, 1).flatten(1))
        return ImageTokens(torch.cat(data, dim=1), torch.cat(padding, dim=1), sizes)


class PastCells(NamedTuple):
    """What temporal self-attention reads beside the queries.

    Attributes:
        cells: features of the cells in the frame before.
        exists: which samples have a frame before.
        first: the queries before the first layer.
    """

    cells: Float[Tensor, "b v c"]
    exists: Bool[Tensor, "b"]
    first: Float[Tensor, "b v c"]


class DeformableLayer(BaseModule):
    """Self-attention over the cells of each height, cross-attention to the images and a feed-forward net.

    Args:
        size: number of cells (nx, ny, nz).
        cross_attention: the attention to the images.
        channels: channels of the queries.
        self_attention: the attention to the cells of the same height; None for none.
        ffn_channels: hidden channels of the feed-forward net; None for none.
        dropout: probability of dropout.
    """

    def __init__(
        self,
        size: tuple[int, int, int],
        cross_attention: ImageCrossAttention,
        channels: int,
        self_attention: MultiScaleDeformableAttention | None,
        ffn_channels: int | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.size = size
        self.self_attn, self.ffn = self_attention, None
        self.cross_attn = cross_attention
        if ffn_channels is not None:
            self.ffn = FFN(channels, ffn_channels, ffn_drop=dropout, act_cfg=dict(type="ReLU", inplace=True))
        parts = 1 + (self_attention is not None) + (ffn_channels is not None)
        self.norms = ModuleList(nn.LayerNorm(channels) for _ in range(parts))

    def forward(
        self,
        queries: Float[Tensor, "b v c"],
        position: Float[Tensor, "1 p c"],
        tokens: ImageTokens,
        hits: Hits,
        past: PastCells | None = None,
    ) -> Float[Tensor, "b v c"]:
        """Return the new queries.

        Args:
            queries: queries of the cells, those of a height one after another.
            position: positional embeddings of the cells of a height; the self-attention adds them.
            tokens: features of all views.
            hits: the cells that each view sees.
            past: what a temporal self-attention reads beside them; None for none.
        """
        norms = iter(self.norms)
        if self.self_attn is not None:
            queries = next(norms)(self._attend_to_planes(queries, position, past))
        queries = next(norms)(queries + self.cross_attn(queries, tokens, hits))
        return queries if self.ffn is None else next(norms)(self.ffn(queries))

    def _attend_to_planes(self, queries: Tensor, position: Tensor, past: PastCells | None) -> Float[Tensor, "b v c"]:
        nx, ny, nz = self.size
        planes = queries.reshape(-1, ny * nx, queries.shape[-1])
        if not isinstance(self.self_attn, TemporalSelfAttention):
            return attend_to_plane(self.self_attn, planes, position, (ny, nx)).view_as(queries)
        if past is None:
            return self.self_attn(planes, position, (ny, nx)).view_as(queries)
        earlier, first = (cells.reshape(planes.shape) for cells in (past.cells, past.first))
        exists = past.exists.repeat_interleave(nz)
        return self.self_attn(planes, position, (ny, nx), earlier, exists, first).view_as(queries)


def _self_attention(
    channels: int, num_heads: int, dropout: float, history: bool, missing: str
) -> MultiScaleDeformableAttention:
    if history:
        return TemporalSelfAttention(channels, num_heads, dropout, missing)
    return MultiScaleDeformableAttention(
        channels, num_heads, num_levels=1, num_points=NUM_POINTS, dropout=dropout, batch_first=True
    )


def _in_padding(cells: MapCells, size: tuple[int, int], rig: CameraRig) -> Bool[Tensor, "b n h w"]:
    """Tell which cells of a map are centered in the padding of their image."""
    height, width = rig.image_size[..., None, None].unbind(dim=-3)
    v, u = ((torch.arange(n, device=height.device) + 0.5) * cells.stride - 0.5 - cells.lead for n in size)
    return (u >= width - 0.5) | (v[:, None] >= height - 0.5)
