"""Rays through pixels of cameras."""

import torch
from torch import Tensor

from ponderv2.shapes import Float
from ponderv2.structures import CameraRig, RayBatch


def rays_through_pixels(
    pixels: Float[Tensor, "*b r 2"], img2lidar: Float[Tensor, "*b 4 4"]
) -> tuple[Float[Tensor, "*b r 3"], Float[Tensor, "*b r 3"]]:
    """Compute the origins and unit directions, in the LiDAR frame, of the rays that pixels (u, v) see."""
    origins = img2lidar[..., None, :3, 3].expand(*pixels.shape[:-1], 3)
    uv1 = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    directions = uv1 @ img2lidar[..., :3, :3].transpose(-1, -2)
    return origins, torch.nn.functional.normalize(directions, dim=-1)


def lattice_rays(rig: CameraRig, stride: int) -> tuple[RayBatch, tuple[int, int]]:
    """Make rays through the pixels `stride // 2 + k * stride` of all cameras of a batch, row by row.

    The lattice covers the largest image of the batch; pixels beyond a smaller one are not valid. The rays have no
    depth and no colour.

    Returns:
        The rays, and the (height, width) of the lattice.
    """
    device = rig.lidar2img.device
    height, width = (int(v) for v in rig.image_size.flatten(0, -2).amax(dim=0))
    v = torch.arange(stride // 2, height, stride, device=device)
    u = torch.arange(stride // 2, width, stride, device=device)
    grid = torch.stack(torch.meshgrid(v, u, indexing="ij"), dim=-1).flip(-1).reshape(-1, 2)
    pixels = grid.to(rig.lidar2img.dtype).expand(*rig.lidar2img.shape[:2], -1, 2)
    origins, directions = rays_through_pixels(pixels, rig.img2lidar)
    inside = (pixels < rig.image_size.flip(-1)[:, :, None]).all(dim=-1)
    rays = RayBatch(origins, directions, inside, torch.zeros_like(pixels[..., 0]), pixels)
    return rays, (len(v), len(u))
