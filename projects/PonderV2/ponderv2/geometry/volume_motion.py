"""Motion of the car between two frames, and volumes that are moved by it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.shapes import Float
from ponderv2.structures import FeatureVolume, constant

from .projection import transform_points


def frame_motion(
    past_lidar2global: Float[Tensor, "4 4"],
    lidar2global: Float[Tensor, "4 4"],
    past_aug: Float[Tensor, "4 4"],
    aug: Float[Tensor, "4 4"],
) -> Float[Tensor, "4 4"]:
    """Compute the transform from the augmented LiDAR frame of a frame to that of an earlier one, in float64.

    What stands still has the same global place in both, so a point of the frame is freed from its augmentation, moved
    by the poses, and augmented as the earlier frame was.

    Args:
        past_lidar2global: pose of the LiDAR at the earlier frame.
        lidar2global: pose of the LiDAR.
        past_aug: augmentation of the earlier frame.
        aug: augmentation of the frame.
    """
    poses = torch.linalg.solve(past_lidar2global.double(), lidar2global.double())
    return past_aug.double() @ poses @ torch.linalg.inv(aug.double())


def move_volume(volume: FeatureVolume, motion: Float[Tensor, "b 4 4"]) -> FeatureVolume:
    """Resample a volume of an earlier frame on the cells of the current one, by shift and rotation of the car.

    Each cell reads the earlier volume trilinearly at the place where its center was then; where that is outside, the
    volume fades to zero over one cell. A plane, of one cell in height, is read at its own height whatever the slope of
    the road, as its cells stand for all heights. Places are metres from the LiDAR, so the car turns about itself; the
    published code turns the plane about cell [100, 100], which is the car's in the largest of its grids alone.

    Args:
        volume: the earlier volume.
        motion: transform from the current to the earlier augmented LiDAR frame.

    Raises:
        UserError: the grid has the published placement.
    """
    grid, data = volume.grid, volume.data
    if grid.published:
        raise UserError("move_volume: placement='published' has no one place for a cell; expected 'centered'")
    dtype = torch.promote_types(data.dtype, torch.float32)
    with torch.autocast(device_type=data.device.type, enabled=False):
        centers = grid.centers(data.device).reshape(-1, 3)
        moved = transform_points(motion.to(data.device, torch.float32), centers.expand(len(data), -1, -1))
        size = constant(grid.size, data.device)
        place = ((2 * grid.to_index(moved) + 1) / size - 1).unflatten(1, grid.shape).to(dtype)
        if grid.size[2] == 1:
            read = F.grid_sample(data[:, :, 0].to(dtype), place[:, 0, ..., :2], align_corners=False)[:, :, None]
        else:
            read = F.grid_sample(data.to(dtype), place, align_corners=False)
    return volume.with_data(read)
