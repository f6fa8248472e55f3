"""The LiDAR encoder: it turns sweeps into a feature volume."""

from collections.abc import Sequence
from logging import WARNING

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ponderv2.errors import UserError
from ponderv2.masking import InputMasking
from ponderv2.registry import MODELS
from ponderv2.shapes import Float
from ponderv2.structures import EncoderOutput, FeatureVolume, SensorBatch, VoxelGrid, Voxels

from .blocks import conv3d_block
from .sparse.pooling import pool_to_volume
from .sparse.voxelize import voxelize

PUBLISHED_NORM = dict(type="BN3d", eps=1e-3, momentum=0.01)
"""The norm of the convolutions at the end, which are those of UVTR's LiDAR neck ("extra_conv")."""


@MODELS.register_module()
class LidarEncoder(BaseModule):
    """Runs voxelization, a sparse encoder and, if there is one, a dense backbone with its neck.

    It implements UniPAD §3.1 and PonderV2 §4.2. In training the masking hides blocks of voxels. Hidden voxels are
    dropped, so that the sparse encoder does not compute on them; or a learnable token takes the place of their
    features, which keeps their places known.

    Args:
        grid: arguments of the `VoxelGrid` that the encoder fills.
        voxel_size: size (x, y, z) of a voxel, metres; published (0.075, 0.075, 0.2), an eighth of a cell of the volume.
        pts_middle_encoder: config of a module that turns voxels into a volume; it has `channels` and `stride`, the
            number of voxels in a cell of the volume along each axis.
        channels: channels of the volume.
        pts_backbone: config of a module that turns the volume into maps, such as `SECOND3D`; None for none.
        pts_neck: config of a module that turns these maps into a volume, such as `SECOND3DFPN`; None for none.
        feature_scale: factor of each column of the points; as many columns are used. UniPAD takes
            (x, y, z, intensity, time lag) as they are, PonderV2 the first four with intensity / 255.
        max_points: largest number of points of a voxel, published 10; None for all, as for 0.1 m voxels of a single
            sweep.
        max_voxels: largest numbers of voxels of a sample in training and outside it, published (120000, 160000); None
            for all.
        mask_token: True to replace the features of hidden voxels instead of dropping them (PonderV2).
        num_convs: number of 3×3×3 convolutions at the end; published 0 in pre-training, 3 in fine-tuning (there they
            are new).
        norm_cfg: norm of these convolutions, in mmcv's terms; None is `PUBLISHED_NORM`. (The convolutions of the camera
            encoder and of the fusion have torch's own eps 1e-5 and momentum 0.1, as published.)

    Raises:
        ValueError: when voxels and volume do not fit.
    """

    def __init__(
        self,
        grid: dict,
        voxel_size: Sequence[float],
        pts_middle_encoder: dict,
        channels: int,
        pts_backbone: dict | None = None,
        pts_neck: dict | None = None,
        feature_scale: Sequence[float] = (1.0, 1.0, 1.0, 1.0, 1.0),
        max_points: int | None = 10,
        max_voxels: tuple[int, int] | None = (120000, 160000),
        mask_token: bool = False,
        num_convs: int = 0,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.grid = VoxelGrid(**grid)
        self.pts_middle_encoder = MODELS.build(pts_middle_encoder)
        self.voxel_grid = voxel_grid_of(self.grid, voxel_size, self.pts_middle_encoder.stride)
        self.max_points, self.max_voxels = max_points, max_voxels
        if (pts_backbone is None) != (pts_neck is None):
            raise ValueError("pts_backbone and pts_neck: expected both or none")
        self.pts_backbone = None if pts_backbone is None else MODELS.build(pts_backbone)
        self.pts_neck = None if pts_neck is None else MODELS.build(pts_neck)
        self.register_buffer("feature_scale", torch.tensor(feature_scale), persistent=False)
        self.mask_token = nn.Parameter(torch.zeros(len(feature_scale))) if mask_token else None
        found = (self.pts_neck or self.pts_middle_encoder).channels
        if found != channels:
            raise ValueError(f"LidarEncoder: channels={channels}, but the network before the volume gives {found}")
        self.channels = channels
        self.convs = ModuleList(conv3d_block(channels, channels, norm_cfg or PUBLISHED_NORM) for _ in range(num_convs))

    def forward(self, batch: SensorBatch, masking: InputMasking | None = None) -> EncoderOutput:
        """Encode a batch.

        A sample without a point in the range, or without a visible voxel, is encoded as an empty scene and
        logged.

        Args:
            batch: sensor data with `points`.
            masking: says which part of the input is hidden; None hides nothing.

        Raises:
            ValueError: when the batch has no points, or points with too few columns.
        """
        if batch.points is None:
            raise UserError("LidarEncoder: the batch has no points; does the pipeline load and pack them?")
        voxels = self.mask(self.voxelize(batch.points), masking)
        if not hasattr(self.pts_middle_encoder, "features"):
            return EncoderOutput(FeatureVolume(self._finish(self.encode_voxels(voxels)), self.grid))
        encoded = self.encode_each_voxel(voxels)
        return EncoderOutput(lambda: FeatureVolume(self._finish(self._pool(encoded)), self.grid), voxels=encoded)

    def voxelize(self, points: list[Tensor]) -> Voxels:
        """Compute the scaled means of the points in each voxel.

        Raises:
            ValueError: when points have too few columns.
        """
        count = len(self.feature_scale)
        if min(p.shape[1] for p in points) < count:
            raise UserError(
                f"LidarEncoder: feature_scale asks for {count} columns a point, got points with "
                f"{min(p.shape[1] for p in points)}"
            )
        limit = None if self.max_voxels is None else self.max_voxels[0 if self.training else 1]
        voxels = voxelize([p[:, :count] for p in points], self.voxel_grid, self.max_points, limit)
        _report_empty(voxels, f"no point of {[len(p) for p in points]} in {self.grid.point_cloud_range}")
        return voxels.with_features(voxels.features * self.feature_scale)

    def mask(self, voxels: Voxels, masking: InputMasking | None) -> Voxels:
        """Hide voxels as the masking says: drop them, or replace their features by the mask token."""
        visible = None
        if masking is not None:
            visible = masking.draw_voxel_mask(voxels.coordinates, voxels.batch_size)
        if self.mask_token is not None:
            shown = torch.ones_like(voxels.coordinates[:, 0], dtype=torch.bool) if visible is None else visible
            # In the graph also where nothing is hidden, for distributed training wants every parameter used.
            return voxels.with_features(torch.where(shown[:, None], voxels.features, self.mask_token))
        if visible is None:
            return voxels
        kept = voxels.keep(visible)
        had = voxels.counts() > 0
        _report_empty(kept, "every voxel is hidden", had)
        return kept

    def encode_voxels(self, voxels: Voxels) -> Float[Tensor, "b c z y x"]:
        """Compute the volume before the convolutions at the end."""
        if hasattr(self.pts_middle_encoder, "features"):
            return self._pool(self.encode_each_voxel(voxels))
        data = self.pts_middle_encoder(self._or_one(voxels), self.grid)
        return self._dense(data * 0 if len(voxels) == 0 else data)

    def encode_each_voxel(self, voxels: Voxels) -> Voxels:
        """Compute the features of every voxel, with a middle encoder that has them, such as `VoxelUNet`.

        Where there is no voxel at all the result has one of zeros.
        """
        given = self._or_one(voxels)
        features = self.pts_middle_encoder.features(given)
        return given.with_features(features * 0 if len(voxels) == 0 else features)

    def _pool(self, encoded: Voxels) -> Float[Tensor, "b c z y x"]:
        return self._dense(pool_to_volume(encoded, self.grid))

    def _dense(self, data: Float[Tensor, "b c z y x"]) -> Float[Tensor, "b d z y x"]:
        if self.pts_backbone is not None:
            data = self.pts_neck(self.pts_backbone(data), data.shape[2])
        return data

    def _finish(self, data: Float[Tensor, "b c z y x"]) -> Float[Tensor, "b c z y x"]:
        for conv in self.convs:
            data = conv(data)
        return data

    def _or_one(self, voxels: Voxels) -> Voxels:
        """Return the voxels, or one where there is none."""
        if len(voxels):
            return voxels
        # Sparse convolution on CUDA refuses a tensor without rows: it gets one, whose result is wiped out, so that
        # every parameter still has a gradient.
        row = voxels.features.new_zeros(1, len(self.feature_scale))
        row = row if self.mask_token is None else row + self.mask_token
        return Voxels(row, voxels.coordinates.new_zeros(1, 4), voxels.batch_size, voxels.grid)


def voxel_grid_of(grid: VoxelGrid, voxel_size: Sequence[float], stride: int | None) -> VoxelGrid:
    """Make the grid of the voxels in the range of a volume.

    Args:
        grid: grid of the volume.
        voxel_size: size (x, y, z) of a voxel in metres.
        stride: number of voxels in a cell of the volume along each axis; None allows any whole number.

    Raises:
        ValueError: when the range is no whole number of voxels, or a cell of the volume is not `stride` voxels.
    """
    counts = [(hi - lo) / s for lo, hi, s in zip(grid.lower, grid.upper, voxel_size, strict=True)]
    size = tuple(round(c) for c in counts)
    if any(abs(c - n) > 1e-3 for c, n in zip(counts, size, strict=True)) or min(size) < 1:
        raise ValueError(
            f"voxel_size: {tuple(voxel_size)} m does not divide the range {grid.point_cloud_range}: it gives "
            f"{tuple(round(c, 3) for c in counts)} voxels (x, y, z)"
        )
    per_cell = [n / m for n, m in zip(size, grid.size, strict=True)]
    needed = "a whole number of voxels" if stride is None else f"{stride} voxels"
    if any(p != (round(p) if stride is None else stride) for p in per_cell):
        raise ValueError(
            f"voxel_size: {tuple(voxel_size)} m gives {size} voxels (x, y, z) in the range, for a volume of "
            f"{grid.size} cells: a cell must be {needed} wide on every axis, not {tuple(round(p, 3) for p in per_cell)}"
        )
    return VoxelGrid(grid.point_cloud_range, size)


def _report_empty(voxels: Voxels, reason: str, among: Tensor | None = None) -> None:
    # On a CUDA device this waits for the device once; unique_consecutive has waited already.
    empty = voxels.counts() == 0
    if among is not None:
        empty = empty & among
    if empty.any():
        samples = empty.nonzero().flatten().tolist()
        print_log(f"LidarEncoder: samples {samples} of the batch are empty: {reason}", logger="current", level=WARNING)
