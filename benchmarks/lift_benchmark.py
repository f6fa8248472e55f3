"""Lifting image features to the volume: the splat against the outer product that it avoids, and the pull lift.

It needs torch alone, so it runs on a bare machine with a copy of the repository. Times are taken in turn, in one
process; the peak memory of each way is that of a process of its own.
"""

import argparse
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ponderv2.devices import usable_device
from ponderv2.geometry import compose_rig
from ponderv2.lifting import PullLift, SplatLift
from ponderv2.lifting.splat import frustum_cells
from ponderv2.structures import CameraRig, VoxelGrid

from .arguments import LIFT_WAYS as WAYS
from .measure import peak_bytes, peak_of_own_process, print_ways, seconds_in_turn, surroundings

GRID = VoxelGrid((-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), (180, 180, 5))
DEPTH_RANGE, BINS = (1.0, 60.0), 118
IMAGE, PADDED, STRIDE = (900, 1600), (928, 1600), 32


def run(args: argparse.Namespace) -> dict:
    """Measure all ways and print a table.

    Returns:
        `time_ratio`, `memory_ratio`: outer product over splat, higher is better; `seconds`, `peak_bytes` by way;
        sizes, device and versions. With `--only`, just that way's peak memory.
    """
    args.device = usable_device(args.device)
    if args.only:
        return {"peak_bytes": peak_bytes(step_of(args, args.only), args.device)}
    names = ("cameras", "channels", "batch", "device")
    # First, while this process holds nothing itself.
    peaks = {way: peak_of_own_process("lift", args, way, names) for way in WAYS}
    seconds = seconds_in_turn({way: step_of(args, way) for way in WAYS}, args.repeats, args.device)
    height, width = (size // STRIDE for size in PADDED)
    result = {
        "time_ratio": seconds["outer product"] / seconds["splat"],
        "memory_ratio": peaks["outer product"] / peaks["splat"],
        "seconds": seconds,
        "peak_bytes": peaks,
        "features": [args.batch, args.cameras, args.channels, height, width],
        "bins": BINS,
        "points": args.batch * args.cameras * height * width * BINS,
        "volume": [args.batch, args.channels, *GRID.shape],
        **surroundings(args.device),
    }
    points = f"{result['points']:,} points × {args.channels} channels"
    print_ways(f"{points}, forward and backward, on {result['device']}", seconds, peaks, "outer product")
    return result


def step_of(args: argparse.Namespace, way: str) -> Callable[[], Tensor]:
    """Make a forward and backward pass from features and depth probabilities; it returns the volume."""
    torch.manual_seed(0)
    shape = (args.batch, args.cameras)
    size = tuple(edge // STRIDE for edge in PADDED)
    features = torch.randn(*shape, args.channels, *size, device=args.device)
    depths = torch.randn(*shape, BINS, *size, device=args.device).softmax(dim=2)
    rig = camera_ring(args.cameras, args.batch).to(args.device, torch.float32)
    slope = torch.randn(args.batch, args.channels, *GRID.shape, device=args.device)
    lift = {"splat": SplatLift, "pull": PullLift}.get(way, OuterProductSplat)(DEPTH_RANGE)

    def step() -> Tensor:
        leaves = features.detach().requires_grad_(), depths.detach().requires_grad_()
        volume = lift([leaves[0]], [leaves[1]], (STRIDE,), rig, GRID)
        torch.autograd.grad(volume, leaves, slope)
        return volume.detach()

    return step


class OuterProductSplat:
    """Splats as published, in plain torch: it multiplies features × bins of all points, then sums by scattering."""

    def __init__(self, depth_range: tuple[float, float]) -> None:
        self.depth_range = depth_range

    def __call__(
        self, features: list[Tensor], depths: list[Tensor], strides: tuple[int, ...], rig: CameraRig, grid: VoxelGrid
    ) -> Tensor:
        """Lift one level, as `SplatLift` does."""
        (feature,), (depth,), (stride,) = features, depths, strides
        batch, channels = feature.shape[0], feature.shape[2]
        cells = frustum_cells(rig, grid, tuple(feature.shape[-2:]), stride, self.depth_range, depth.shape[2])
        # [B, N, H, W, D, C]
        product = feature.permute(0, 1, 3, 4, 2)[..., None, :] * depth.permute(0, 1, 3, 4, 2)[..., None]
        inside = cells >= 0
        rows = feature.new_zeros(batch * math.prod(grid.shape), channels)
        rows = rows.index_add(0, cells[inside], product[inside])
        return rows.unflatten(0, (batch, *grid.shape)).permute(0, 4, 1, 2, 3)


def camera_ring(cameras: int, batch: int) -> CameraRig:
    """Make evenly turned cameras with the focal length and size of nuScenes' front camera, 0.8 m from the LiDAR."""
    lidar2cam = torch.zeros(cameras, 4, 4, dtype=torch.float64)
    for k in range(cameras):
        c, s = math.cos(math.tau * k / cameras), math.sin(math.tau * k / cameras)
        # The first looks along y; the lens is below the LiDAR.
        rotation = torch.tensor([[c, s, 0.0], [0.0, 0.0, -1.0], [-s, c, 0.0]], dtype=torch.float64)
        lidar2cam[k, :3, :3] = rotation
        lidar2cam[k, :3, 3] = -rotation @ torch.tensor([-0.8 * s, 0.8 * c, -0.3], dtype=torch.float64)
        lidar2cam[k, 3, 3] = 1.0
    cam2img = torch.eye(4, dtype=torch.float64).repeat(cameras, 1, 1)
    cam2img[:, 0, 0] = cam2img[:, 1, 1] = 1266.0
    cam2img[:, 0, 2], cam2img[:, 1, 2] = (IMAGE[1] - 1) / 2, (IMAGE[0] - 1) / 2
    eye = torch.eye(4, dtype=torch.float64)
    rig = compose_rig(lidar2cam, cam2img, eye, eye.expand(cameras, 4, 4), torch.tensor([IMAGE] * cameras), PADDED)
    return CameraRig.stack([rig] * batch, PADDED)
