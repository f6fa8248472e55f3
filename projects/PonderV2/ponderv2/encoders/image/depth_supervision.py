"""Depth supervision: LiDAR returns are targets for the distributions of depth that a lift uses."""

import math

import torch
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.geometry import MIN_DEPTH, in_image, project
from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import CameraRig, VoxelGrid, lead_of


class DepthSupervision:
    """Computes the depth loss of BEVDepth §3.2, with which UniPAD trains its final camera and fusion models.

    The nearest return in each cell of a feature map names its bin; the loss is the binary cross entropy between
    the probabilities of all bins and this one-hot choice.

    Args:
        weight: weight of the loss; published 1 in fine-tuning, 0 (that is, none) in pre-training.
        min_radius: horizontal distance from the LiDAR, metres of the augmented frame, below which returns are left
            out, as they are from the car itself. Published 3.
        max_lag: largest age of a return, seconds; 0 takes those of the key frame alone, None all that
            were loaded (published, with 10 sweeps). Earlier returns fill cells that no beam of the key frame
            meets, but are wrong where things moved, and may lie on what is hidden by now, since the nearest
            return is the only guard against that.
        grid: grid of the volume; returns outside its range are left out (published: pipelines cut the points to the
            range, after augmentation). None limits nothing.
    """

    def __init__(
        self,
        weight: float = 1.0,
        min_radius: float = 3.0,
        max_lag: float | None = None,
        grid: VoxelGrid | None = None,
    ) -> None:
        self.weight = weight
        self.min_radius = min_radius
        self.max_lag = max_lag
        self.grid = grid

    def __call__(
        self,
        logits: list[Tensor],
        strides: tuple[int, ...],
        points: list[Tensor] | None,
        rig: CameraRig,
        depth_range: tuple[float, float],
        offsets: tuple[float, ...] | None = None,
    ) -> Float[Tensor, ""]:
        """Compute the weighted loss, a mean over levels; it is 0 and still differentiable where nothing is a target.

        Args:
            logits: logits of the bins `[B, N, D, H_l, W_l]`, one map for each level.
            strides: width of a cell of each level, pixels.
            points: point cloud of each sample, (x, y, z, intensity, time lag) in the augmented LiDAR frame.
            rig: cameras of the batch.
            depth_range: range along the optical axis, metres, that the bins cover evenly.
            offsets: pixel on which the first cell of each level is centered; None for `(stride - 1) / 2`.

        Raises:
            ValueError: when there are no points, or they have no time lag and `max_lag` asks for one.
        """
        if points is None:
            raise UserError(
                "depth_loss: the batch has no points to supervise depths with; "
                "put LoadLidarSweeps into the training pipeline, or leave out depth_loss"
            )
        points = [self._usable(cloud) for cloud in points]
        device = logits[0].device
        losses, starts = [], offsets or [None] * len(strides)
        with torch.autocast(device_type=device.type, enabled=False):
            for level, stride, offset in zip(logits, strides, starts, strict=True):
                nearest = nearest_return(points, rig, tuple(level.shape[-2:]), stride, offset)
                bins, valid = depth_bins(nearest, depth_range, level.shape[2])
                losses.append(depth_cross_entropy(level, bins, valid))
        return self.weight * sum(losses) / len(losses)

    def _usable(self, cloud: Float[Tensor, "p c"]) -> Float[Tensor, "q c"]:
        chosen = cloud[:, :2].norm(dim=1) > self.min_radius
        if self.grid is not None:
            chosen &= self.grid.contains(cloud[:, :3])
        if self.max_lag is not None:
            if cloud.shape[1] < 5:
                raise UserError(
                    f"depth_loss: max_lag needs points (x, y, z, intensity, time lag), got {cloud.shape[1]} columns"
                )
            chosen &= cloud[:, 4] <= self.max_lag
        return cloud[chosen]


@torch.no_grad()
def nearest_return(
    points: list[Tensor], rig: CameraRig, size: tuple[int, int], stride: int, offset: float | None = None
) -> Float[Tensor, "b n h w"]:
    """Find the depth of the nearest return in each cell of a feature map, along the optical axis in metres.

    A cell without a return gets inf. The first cell is centered on pixel `offset`, None for `(stride - 1) / 2`.

    The nearest of a cell is the nearest of the nearest in its pixels, so this is the published z-buffer and its
    minimum over the cell in one. Cells are whole numbers of 64 bits: float keys mix up pixels and depths. Returns
    in the padding of an image do not count.
    """
    height, width = size
    maps = []
    for sample, cloud in enumerate(points):
        pixels, depth = project(cloud[:, :3].float().expand(rig.num_cameras, -1, -1), rig.lidar2img[sample].float())
        seen = (depth > MIN_DEPTH) & in_image(pixels, rig.image_size[sample])
        place = torch.floor((pixels + (0.5 + lead_of(stride, offset))) / stride)
        column, row = (place[..., axis].clamp(0, end - 1).long() for axis, end in enumerate((width, height)))
        # A map may end before the image does.
        seen &= (place[..., 0] < width) & (place[..., 1] < height)
        # Not `geometry.nearest_per_cell`, which sorts on the CPU to tell which returns are nearest: here only their
        # depths count, and a scattered minimum makes the same map on any device, without waiting for it.
        nearest = depth.new_full((rig.num_cameras, height * width), math.inf)
        maps.append(nearest.scatter_reduce(1, row * width + column, depth.where(seen, math.inf), "amin"))
    return torch.stack(maps).unflatten(2, size)


def depth_bins(
    depth: Float[Tensor, "*n"], depth_range: tuple[float, float], bins: int
) -> tuple[Int[Tensor, "*n"], Bool[Tensor, "*n"]]:
    """Find the bin of each depth, 0 where it is out of range, and the depths that are in range."""
    low, high = depth_range
    valid = (depth >= low) & (depth < high)
    place = torch.floor((depth.where(valid, low) - low) * (bins / (high - low)))
    return place.long().clamp(max=bins - 1), valid


def depth_cross_entropy(
    logits: Float[Tensor, "b n d h w"], bins: Int[Tensor, "b n h w"], valid: Bool[Tensor, "b n h w"]
) -> Float[Tensor, ""]:
    """Sum the binary cross entropy of all bins and divide it by the number of cells with a target (at least 1).

    The probabilities are the softmax of the logits. Neither their logarithms nor those of what is left of 1 are taken
    of rounded probabilities, so that the slope of a logit is at most 3, how certain and wrong the choice may be.
    """
    logs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=2)
    target = bins[:, :, None]
    # 1 - p is the sum of the other probabilities; it is small for the most probable bin alone.
    largest = logs.argmax(dim=2, keepdim=True)
    rest = logs.scatter(2, largest, -math.inf).logsumexp(dim=2, keepdim=True)
    others = torch.log1p(-logs.exp().scatter(2, largest, 0.0)).scatter(2, largest, rest).scatter(2, target, 0.0)
    loss = -(logs.gather(2, target) + others.sum(dim=2, keepdim=True))
    return loss.where(valid[:, :, None], 0.0).sum() / valid.sum().clamp(min=1)
