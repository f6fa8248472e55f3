"""The sensor data that the data preprocessor hands to a model."""

from dataclasses import dataclass

from torch import Tensor

from ponderv2.shapes import Float

from .camera_rig import CameraRig
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
    """

    rig: CameraRig | None = None
    images: Float[Tensor, "b n 3 h w"] | None = None
    points: list[Tensor] | None = None
    rays: RayBatch | None = None

    @property
    def batch_size(self) -> int:
        """The number of samples; it is known also when a sample has no point at all."""
        if self.images is not None:
            return self.images.shape[0]
        if self.points is not None:
            return len(self.points)
        raise ValueError("a SensorBatch without images and points has no size")
