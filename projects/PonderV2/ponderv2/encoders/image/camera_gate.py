"""Camera awareness: what is known of a camera weights the channels of its features (BEVDepth §3.3)."""

import torch
from torch import Tensor, nn

from ponderv2.shapes import Float
from ponderv2.structures import CameraRig

# Focal lengths are about as many pixels.
_PIXELS = 1000.0
CODE_SIZE = 18


class CameraGate(nn.Module):
    """Weights channels by the camera: an MLP of its parameters, and squeeze-and-excitation (BEVDepth §3.3).

    How far away a thing is, its size in pixels does not tell without the focal length, nor its row without height and
    tilt of the camera. BEVDepth's 27 numbers are intrinsics, image augmentation, augmentation of the scene and
    extrinsics, batch-normed. Here they are 18, as the rig has them: the intrinsics of the augmented image (2×3, shear
    and turn included) in 1000 pixels, and the transform from the augmented LiDAR frame to the camera (3×4, in metres).
    They are not normed: in a batch of one frame a norm would take away what all its cameras share, the augmentation.

    Args:
        channels: channels of the features, and hidden channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(CODE_SIZE, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels))
        self.excite = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels))

    def forward(self, features: Float[Tensor, "n c h w"], rig: CameraRig | None) -> Float[Tensor, "n c h w"]:
        """Return the features of all cameras, sample by sample, with a weight in (0, 1) for each channel.

        Raises:
            ValueError: when there is no rig, or its cameras are not as many as the maps.
        """
        if rig is None:
            raise ValueError("CameraGate: a camera-aware network needs the rig")
        code = camera_code(rig)
        if len(code) != len(features):
            raise ValueError(f"CameraGate: {len(features)} maps for {len(code)} cameras")
        # A few hundred products: in bfloat16 a focal length would have three digits.
        with torch.autocast(features.device.type, enabled=False):
            gate = self.excite(self.mlp(code.to(self.mlp[0].weight))).sigmoid()
        return features * gate[..., None, None].to(features)


def camera_code(rig: CameraRig) -> Float[Tensor, "n 18"]:
    """Return the numbers that say what a camera of a rig is, of all cameras of the batch."""
    intrinsics = rig.cam2img[..., :2, :3] / _PIXELS
    extrinsics = rig.lidar2cam[..., :3, :]
    return torch.cat([intrinsics.flatten(-2), extrinsics.flatten(-2)], dim=-1).flatten(0, -2)
