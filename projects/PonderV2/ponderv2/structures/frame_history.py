"""Earlier key frames that a temporal encoder reads before the current one."""

from dataclasses import dataclass

from torch import Tensor

from ponderv2.shapes import Bool, Float

from .camera_rig import CameraRig
from .feature_volume import FeatureVolume


@dataclass(frozen=True)
class PastFrame:
    """An earlier key frame of a sample, as the data set packs it.

    Attributes:
        images: uint8 RGB images without padding, `[N, 3, H, W]`.
        rig: the cameras of this frame, in its own augmented LiDAR frame.
        motion: transform from the augmented LiDAR frame of the next frame of the queue, or of the current frame, to
            that of this frame; float64.
        can_bus: signals of the car, see `SensorBatch`; None when none were loaded.
        points: its point cloud `[P, 5]`; None where none was loaded.
    """

    images: Tensor
    rig: CameraRig
    motion: Float[Tensor, "4 4"]
    can_bus: Float[Tensor, "18"] | None = None
    points: Tensor | None = None

    def pin_memory(self) -> "PastFrame":
        """Copy the frame to page-locked memory, see `FrameQueue`."""
        signals, points = (None if t is None else t.pin_memory() for t in (self.can_bus, self.points))
        return PastFrame(self.images.pin_memory(), self.rig.pin_memory(), self.motion.pin_memory(), signals, points)


@dataclass(frozen=True)
class FrameQueue:
    """The earlier key frames of a sample, the oldest first; none at the start of a scene.

    A list would do, but batches of lists must have equally many entries.

    Attributes:
        frames: the frames.
    """

    frames: tuple[PastFrame, ...] = ()

    def pin_memory(self) -> "FrameQueue":
        """Copy the frames to page-locked memory, from which a GPU fetches by itself; a data loader asks for it."""
        return FrameQueue(tuple(frame.pin_memory() for frame in self.frames))


@dataclass(frozen=True)
class PastBatch:
    """One earlier key frame of each sample of a batch; some samples may have none.

    Attributes:
        images: normalized, padded images; those of the current frame where there is no earlier one.
        rig: the cameras.
        motion: transform from the augmented LiDAR frame of the next frame to that of this one; the identity where there
            is none.
        exists: which samples have the frame.
        can_bus: signals of the car, see `SensorBatch`; those of the current frame where there is no earlier one.
        points: point cloud `[P, 5]` of each sample in the LiDAR frame of this one, that of the current frame where
            there is no earlier one; None where none were loaded.
    """

    images: Float[Tensor, "b n 3 h w"]
    rig: CameraRig
    motion: Float[Tensor, "b 4 4"]
    exists: Bool[Tensor, "b"]
    can_bus: Float[Tensor, "b 18"] | None = None
    points: list[Tensor] | None = None


@dataclass(frozen=True)
class PastVolume:
    """The volume of the frame before, moved into the current LiDAR frame.

    Attributes:
        volume: features of the cells; zero where the earlier volume did not reach.
        exists: which samples have a frame before; the volume of others is not read.
    """

    volume: FeatureVolume
    exists: Bool[Tensor, "b"]
