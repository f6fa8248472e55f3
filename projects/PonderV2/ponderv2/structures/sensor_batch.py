"""The sensor data that the data preprocessor hands to a model."""

from dataclasses import dataclass

from torch import Tensor

from ponderv2.shapes import Float

from .camera_rig import CameraRig
from .frame_history import PastBatch
from .ray_batch import RayBatch


@dataclass(frozen=True)
class SensorBatch:
    """One batch of sensor data on the model's device.

    Attributes:
        rig: the cameras; None when the batch has none.
        images: normalised, padded images, `[B, N, 3, H, W]`; None when none were decoded.
        points: one point cloud `[P, 5]` for each sample, (x, y, z, intensity, time lag) in the augmented LiDAR frame;
            None when none were loaded.
        rays: rays with the colours and depths that rendering is compared with; None outside pre-training.
        history: earlier key frames for a temporal encoder, the oldest first.
        can_bus: signals of the car, since the frame before (`geometry.signals_since`); None when none were loaded.
    """

    rig: CameraRig | None = None
    images: Float[Tensor, "b n 3 h w"] | None = None
    points: list[Tensor] | None = None
    rays: RayBatch | None = None
    history: tuple[PastBatch, ...] = ()
    can_bus: Float[Tensor, "b 18"] | None = None

    def sample(self, index: int) -> "SensorBatch":
        """Take one sample, without rays and history, as a batch of its own."""
        rig = None
        if self.rig is not None:
            rig = CameraRig.stack([self.rig.at(index)], self.rig.padded_size)
        images = None if self.images is None else self.images[index : index + 1]
        points = None if self.points is None else self.points[index : index + 1]
        signals = None if self.can_bus is None else self.can_bus[index : index + 1]
        return SensorBatch(rig, images, points, can_bus=signals)

    @property
    def batch_size(self) -> int:
        """The number of samples; it is known also when a sample has no point at all."""
        if self.images is not None:
            return self.images.shape[0]
        if self.points is not None:
            return len(self.points)
        raise ValueError("a SensorBatch without images and points has no size")
