"""The masking of a training: how much of the input is hidden, as a value that is passed down to the encoders."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float, Int

from .image_masks import draw_block_mask
from .voxel_masks import draw_voxel_mask


@dataclass(frozen=True)
class InputMasking:
    """The shares of the input that are hidden; encoders draw their masks from it at every call.

    Attributes:
        image_ratio: share of the image blocks that is hidden, published 0.3 (best of 0.1–0.7); 0 hides none.
        image_block: edge of a block in pixels, published 32: one cell of the coarsest ConvNeXt stage.
        point_ratio: share of the occupied voxel blocks that is hidden, published 0.8; 0 hides none.
        point_block: edge of a block in voxels, or an edge for each axis (x, y, z); published 8: one cell of the volume.
        drop_camera: probability that a sample of a fusion encoder loses the volume of its cameras.
        drop_lidar: probability that it loses the volume of its LiDAR instead; it never loses both.
        generator: source of randomness; None is torch's default one, seeded by the runner.

    Raises:
        ValueError: when one of the two probabilities is negative or their sum is more than 1.
    """

    image_ratio: float = 0.3
    image_block: int = 32
    point_ratio: float = 0.8
    point_block: int | Sequence[int] = 8
    drop_camera: float = 0.0
    drop_lidar: float = 0.0
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        if min(self.drop_camera, self.drop_lidar) < 0 or self.drop_camera + self.drop_lidar > 1:
            raise ValueError(
                "drop_camera and drop_lidar: expected probabilities with a sum of at most 1, "
                f"got {self.drop_camera} and {self.drop_lidar}"
            )
        if not isinstance(self.point_block, int):
            # Configs hand over lists.
            object.__setattr__(self, "point_block", tuple(self.point_block))

    def draw_image_mask(self, images: Float[Tensor, "n 3 h w"]) -> Bool[Tensor, "n hb wb"] | None:
        """Draw which blocks of each image are visible, for every image anew; None when none is hidden."""
        if self.image_ratio == 0:
            return None
        return draw_block_mask(
            len(images), images.shape[-2:], self.image_block, self.image_ratio, self.generator, images.device
        )

    def draw_voxel_mask(self, coordinates: Int[Tensor, "v 4"], batch_size: int) -> Bool[Tensor, "v"] | None:
        """Draw which voxels (sample, z, y, x) are visible, for every sample anew; None when none is hidden."""
        if self.point_ratio == 0:
            return None
        return draw_voxel_mask(coordinates, batch_size, self.point_block, self.point_ratio, self.generator)

    def draw_sensors(self, batch_size: int, device: torch.device | str = "cpu") -> Bool[Tensor, "b 2"] | None:
        """Draw which samples keep their (camera, LiDAR) volume, at least one each; None when none is dropped."""
        if self.drop_camera == 0 and self.drop_lidar == 0:
            return None
        source = self.generator.device if self.generator is not None else "cpu"
        draw = torch.rand(batch_size, generator=self.generator, device=source)
        keep_camera = draw >= self.drop_camera
        keep_lidar = ~keep_camera | (draw >= self.drop_camera + self.drop_lidar)
        return torch.stack([keep_camera, keep_lidar], dim=1).to(device, non_blocking=True)
