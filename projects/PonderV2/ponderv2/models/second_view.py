"""A second view of a scene for key points to be found again in: the key frame before, turned, with fewer returns."""

import hashlib
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.geometry import transform_points
from ponderv2.shapes import Bool, Float
from ponderv2.structures import CameraRig, SensorBatch


@dataclass(frozen=True)
class SecondView:
    """The same scenes as those of a batch, seen otherwise.

    Attributes:
        batch: what the sensors measured.
        motion: transform from the LiDAR frame of the batch to that of the second view.
        earlier: which samples are seen in another key frame; others have the same measurements again.
    """

    batch: SensorBatch
    motion: Float[Tensor, "b 4 4"]
    earlier: Bool[Tensor, "b"]


def derived_generator(device: torch.device) -> torch.Generator:
    """Return a generator on the CPU that is seeded by the state of torch's, and takes no number of it.

    What others draw is then the same with and without a second view, in this step and in the next; and whoever seeds
    or restores torch's generators has the same second view again.
    """
    state = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
    if device.type == "cuda":
        # There the steps may draw nothing on the CPU.
        state.update(torch.cuda.get_rng_state(device).numpy().tobytes())
    return torch.Generator().manual_seed(int.from_bytes(state.digest()[:7], "little"))


def second_view(
    inputs: SensorBatch, turn: float = math.pi, dropped: float = 0.3, generator: torch.Generator | None = None
) -> SecondView:
    """Make a second view from the last earlier key frame, or from the batch again where there is none.

    Each is turned about the height of the LiDAR by a random angle, all sensors alike, and loses a random share of its
    returns.

    Args:
        inputs: the batch.
        turn: largest angle, radians.
        dropped: largest share of returns that are left out.
        generator: what draws, on the CPU; torch's unless given.

    Raises:
        UserError: the batch has no points or no cameras.
    """
    if inputs.points is None or inputs.rig is None:
        raise UserError(
            "key points: the batch has no LiDAR points or no cameras; put LoadLidarSweeps and LoadCameras into the "
            "pipeline"
        )
    size, device = inputs.batch_size, inputs.points[0].device
    points, images, rig = inputs.points, inputs.images, inputs.rig
    motion = torch.eye(4, device=device).repeat(size, 1, 1)
    earlier = torch.zeros(size, dtype=torch.bool, device=device)
    if inputs.history and inputs.history[-1].points is not None:
        past = inputs.history[-1]
        points, images, rig, motion, earlier = past.points, past.images, past.rig, past.motion, past.exists
    turns = torch.stack([_turn(turn, generator).to(device) for _ in range(size)])
    seen = [_fewer(cloud, dropped, generator) for cloud in points]
    seen = [
        torch.cat([transform_points(matrix, cloud[:, :3]), cloud[:, 3:]], dim=1)
        for matrix, cloud in zip(turns, seen, strict=True)
    ]
    return SecondView(SensorBatch(turned_rig(rig, turns), images, seen), turns @ motion, earlier)


def turned_rig(rig: CameraRig, turns: Float[Tensor, "b 4 4"]) -> CameraRig:
    """Return the cameras in a LiDAR frame that is turned by a matrix for each sample."""
    turns = turns.to(rig.lidar2img.dtype)[:, None]
    back = torch.linalg.inv(turns)
    return replace(
        rig,
        lidar2cam=rig.lidar2cam @ back,
        lidar2img=rig.lidar2img @ back,
        img2lidar=turns @ rig.img2lidar,
    )


def _turn(largest: float, generator: torch.Generator | None) -> Float[Tensor, "4 4"]:
    angle = (2 * float(torch.rand((), generator=generator, device="cpu")) - 1) * largest
    matrix = torch.eye(4)
    matrix[:2, :2] = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return matrix


def _fewer(cloud: Float[Tensor, "p c"], dropped: float, generator: torch.Generator | None) -> Float[Tensor, "q c"]:
    share = dropped * float(torch.rand((), generator=generator, device="cpu"))
    return cloud[(torch.rand(len(cloud), generator=generator, device="cpu") >= share).to(cloud.device)]
