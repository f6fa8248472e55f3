"""The losses by which rendered rays learn.

Each is a mean over the rays or samples of a scene that count, or 0 when none does, and then a mean over the batch.
Lengths are scene units (metres × `VoxelGrid.scene_scale`) unless a function says otherwise.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Bool, Float, Int

COLOR_DIFFERENCES = {"l1": torch.abs, "l2": torch.square}
"""The function of a difference of colours that is averaged over the channels, by mode."""


def color_loss(
    rendered: Float[Tensor, "b *r 3"], target: Float[Tensor, "b *r 3"], mask: Bool[Tensor, "b *r"], mode: str = "l1"
) -> Float[Tensor, ""]:
    """Compute the mean difference of colours.

    Args:
        rendered: rendered colours in [0, 1].
        target: colours of the pixels, in [0, 1].
        mask: True for rays that count.
        mode: "l1", the mean absolute difference, published with weight 10 (UniPAD Eq. 8); "l2", the mean square
            (NeRF Eq. 6), which is what PSNR measures.

    Raises:
        ValueError: for another mode.
    """
    if mode not in COLOR_DIFFERENCES:
        raise ValueError(f"color_mode: expected one of {sorted(COLOR_DIFFERENCES)}, got {mode!r}")
    return _masked_mean(COLOR_DIFFERENCES[mode](rendered - target).mean(dim=-1), mask)


def depth_loss(
    rendered: Float[Tensor, "b *r"],
    target: Float[Tensor, "b *r"],
    mask: Bool[Tensor, "b *r"],
    scene_scale: float,
) -> Float[Tensor, ""]:
    """Compute the mean absolute difference of depths in scene units; published weight 10 (UniPAD Eq. 8).

    At a scale of 1/54 a difference of one metre costs 1/54.

    Args:
        rendered: rendered depths, metres.
        target: measured depths, metres.
        mask: True for rays that count.
        scene_scale: scene units in a metre.
    """
    return _masked_mean((rendered - target).abs() * scene_scale, mask)


def free_space_loss(
    sdf: Float[Tensor, "b *r s"],
    t: Float[Tensor, "b *r s"],
    depth: Float[Tensor, "b *r"],
    mask: Bool[Tensor, "b *r"],
    truncation: float,
) -> Float[Tensor, ""]:
    """Compute by how much signed distances in free space fall short of the truncation (PonderV2 Eq. 11, indoors 1.0).

    Free space ends one truncation before the measured depth.

    Args:
        sdf: signed distance at each sample.
        t: distance of each sample.
        depth: measured depth of each ray.
        mask: True for rays with a measured depth.
        truncation: length of the band before a surface.
    """
    before = t < (depth - truncation)[..., None]
    return _masked_mean(F.relu(truncation - sdf), before & mask[..., None])


def sdf_loss(
    sdf: Float[Tensor, "b *r s"],
    t: Float[Tensor, "b *r s"],
    depth: Float[Tensor, "b *r"],
    mask: Bool[Tensor, "b *r"],
    truncation: float,
) -> Float[Tensor, ""]:
    """Compute |t + s - D| within the truncation of the measured depth D (PonderV2 Eq. 10, indoors 10).

    The arguments are those of `free_space_loss`.
    """
    ahead = depth[..., None] - t
    return _masked_mean((sdf - ahead).abs(), (ahead.abs() <= truncation) & mask[..., None])


def eikonal_loss(normal: Float[Tensor, "b *r s 3"], mask: Bool[Tensor, "b *r"]) -> Float[Tensor, ""]:
    """Compute (‖∇s‖ - 1)² of the samples of all rays in the mask (PonderV2 Eq. 9, indoors 0.01)."""
    # The gradient of a norm is not defined at zero, where a freshly made field may well be.
    norm = (normal.square().sum(dim=-1) + 1e-12).sqrt()
    return _masked_mean((norm - 1).square(), mask[..., None].expand_as(norm))


def surface_loss(sdf: Float[Tensor, "b *r"], mask: Bool[Tensor, "b *r"]) -> Float[Tensor, ""]:
    """Compute |s| at LiDAR returns, which lie on a surface (in UniPAD's code, switched off)."""
    return _masked_mean(sdf.abs(), mask)


def occupancy_loss(
    log_free: Float[Tensor, "b *r s"],
    log_occupied_at_return: Float[Tensor, "b *r"],
    t: Float[Tensor, "b *r s"],
    depth: Float[Tensor, "b *r"],
    mask: Bool[Tensor, "b *r"],
    margin: float,
) -> Float[Tensor, ""]:
    """Compute the binary cross entropy of occupancy from LiDAR.

    A ray is free up to `margin` before its return, and occupied at the return. Both halves are means of their own, so
    the many free samples do not outweigh the one return.

    Args:
        log_free: log-probability that each sample is free.
        log_occupied_at_return: log-probability that the place of the LiDAR return is occupied.
        t: distance of each sample.
        depth: measured depth of each ray.
        mask: True for rays with a measured depth.
        margin: length before the return about which nothing is said.
    """
    before = t < (depth - margin)[..., None]
    free = _masked_mean(-log_free, before & mask[..., None])
    return (free + _masked_mean(-log_occupied_at_return, mask)) / 2


def semantic_loss(
    logits: Float[Tensor, "b *r k"], target: Int[Tensor, "b *r"], mask: Bool[Tensor, "b *r"]
) -> Float[Tensor, ""]:
    """Compute the cross entropy of rendered classes (PonderV2's "semantic", published weight 0.1).

    Each class is in the denominator once. PonderV2's code has the embedding of each ray of the batch there, so that
    rays of the same class are set against each other and the loss cannot fall below the logarithm of their number; and
    it averages over all rays of the batch, where this is a mean over samples as every loss here is: a frame without
    labels counts as 0, and a labeled one pulls as much whatever shares its batch.

    Args:
        logits: rendered logits of the K classes.
        target: class of each ray; what is negative does not count.
        mask: True for rays that count.

    Raises:
        ValueError: on a CPU, when a class that counts is not below K.
    """
    classes = logits.shape[-1]
    known = mask & (target >= 0)
    target = torch.where(known, target, torch.zeros_like(target))
    if target.device.type == "cpu" and int(target.max() if target.numel() else 0) >= classes:
        raise ValueError(f"semantic: expected classes below {classes}, got {int(target.max())}")
    # What does not count may be anything, NaN included, and so may its derivative.
    logits = torch.where(known[..., None], logits, torch.zeros_like(logits))
    return _masked_mean(-F.log_softmax(logits, dim=-1).gather(-1, target[..., None])[..., 0], known)


def intensity_loss(
    rendered: Float[Tensor, "b *r"], target: Float[Tensor, "b *r"], mask: Bool[Tensor, "b *r"]
) -> Float[Tensor, ""]:
    """Compute the mean absolute difference of rendered and measured intensities of LiDAR returns.

    Args:
        rendered: rendered intensities, in [0, 1].
        target: measured intensities, in [0, 1].
        mask: True for rays that count.
    """
    return _masked_mean((rendered - target).abs(), mask)


def _masked_mean(values: Float[Tensor, "b *n"], mask: Bool[Tensor, "b *n"]) -> Float[Tensor, ""]:
    """Average over what counts in a sample, then over the samples: the loss of a batch is the mean of its samples'."""
    # `where`, not a product: a value that does not count may be anything, NaN included.
    total = torch.where(mask, values, torch.zeros_like(values)).flatten(1).sum(dim=1)
    return (total / mask.flatten(1).sum(dim=1).clamp(min=1)).mean()
