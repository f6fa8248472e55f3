"""Calibrated cameras around the LiDAR; augmentation is already part of their matrices."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.shapes import Float, Int

_TENSORS = ("lidar2cam", "cam2img", "lidar2img", "img2lidar", "image_size")


@dataclass(frozen=True)
class CameraRig:
    """The cameras of a sample or, with a leading batch axis, of a batch.

    All matrices are 4×4 and act on column vectors. The LiDAR frame is the one the network sees: after the
    3-D augmentation. A camera frame keeps the metres of the world; when the augmentation scales the scene,
    `lidar2cam` therefore holds the inverse scale. Pixels are those of the augmented image, with integer
    coordinates at pixel centres.

    Attributes:
        lidar2cam: transform from the augmented LiDAR frame to the camera frame (x right, y down, z forward).
        cam2img: transform from the camera frame to `(u * d, v * d, d, 1)`, 2-D augmentation included.
        lidar2img: the product `cam2img @ lidar2cam`.
        img2lidar: the inverse of `lidar2img`.
        image_size: (height, width) in pixels without padding.
        padded_size: (height, width) of the tensor that holds the images; one for all cameras.
    """

    lidar2cam: Float[Tensor, "*b n 4 4"]
    cam2img: Float[Tensor, "*b n 4 4"]
    lidar2img: Float[Tensor, "*b n 4 4"]
    img2lidar: Float[Tensor, "*b n 4 4"]
    image_size: Int[Tensor, "*b n 2"]
    padded_size: tuple[int, int]

    @property
    def num_cameras(self) -> int:
        """The number of cameras of a sample."""
        return self.lidar2cam.shape[-3]

    @property
    def origins(self) -> Float[Tensor, "*b n 3"]:
        """The camera centres in the augmented LiDAR frame, metres."""
        # The centre is what the projection sends to d = 0, u*d = 0, v*d = 0.
        return self.img2lidar[..., :3, 3]

    def first(self) -> "CameraRig":
        """Take the rig of the first sample of a batch."""
        return self.at(0)

    def at(self, index: int) -> "CameraRig":
        """Take the rig of one sample of a batch."""
        return CameraRig(**{f: getattr(self, f)[index] for f in _TENSORS}, padded_size=self.padded_size)

    @staticmethod
    def stack(rigs: "list[CameraRig]", padded_size: tuple[int, int]) -> "CameraRig":
        """Stack the rigs of samples, which have equally many cameras, to that of a batch.

        Raises:
            ValueError: when the numbers of cameras differ.
        """
        counts = sorted({rig.num_cameras for rig in rigs})
        if len(counts) > 1:
            raise ValueError(f"samples of one batch have different numbers of cameras: {counts}")
        stacked = {f: torch.stack([getattr(r, f) for r in rigs]) for f in _TENSORS}
        return CameraRig(**stacked, padded_size=padded_size)

    def to(
        self, device: torch.device | str, dtype: torch.dtype | None = None, non_blocking: bool = False
    ) -> "CameraRig":
        """Copy the rig to a device, its matrices with another `dtype` if one is given.

        The host does not wait for the copies if `non_blocking`.
        """
        matrices = (self.lidar2cam, self.cam2img, self.lidar2img, self.img2lidar)
        # The type first: half the bytes travel, and nothing is converted in between.
        return CameraRig(
            *(m.to(dtype=dtype).to(device, non_blocking=non_blocking) for m in matrices),
            self.image_size.to(device, non_blocking=non_blocking),
            self.padded_size,
        )

    def pin_memory(self) -> "CameraRig":
        """Copy the rig to page-locked memory, from which a GPU fetches by itself; a data loader asks for it."""
        return CameraRig(**{f: getattr(self, f).pin_memory() for f in _TENSORS}, padded_size=self.padded_size)
