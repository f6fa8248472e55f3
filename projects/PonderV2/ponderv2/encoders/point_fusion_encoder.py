"""The encoder of a fused segmentor: features of voxels, and feature maps of images for the points to gather from."""

from mmengine.model import BaseModule

from ponderv2.masking import InputMasking
from ponderv2.registry import MODELS
from ponderv2.structures import EncoderOutput, ImageFeatures, SensorBatch, cells_of_levels


@MODELS.register_module()
class PointFusionEncoder(BaseModule):
    """Runs a LiDAR encoder, and of a camera encoder the part before the lift.

    The head reads the feature of a point's voxel, and image features at the pixels of the point: what pre-training of
    the cameras has learned then counts for segmentation too. Names in the state dict are those of `FusionEncoder`
    without its convolutions, so that `tools/merge_checkpoints.py` puts two pre-trained encoders together. Depth network
    and lift have no part in it; they keep their weights and are not trained.

    Attributes:
        channels: channels of the features of a voxel.
        image_channels: channels of the maps of the images.

    Args:
        camera: config of a `CameraEncoder`.
        lidar: config of a `LidarEncoder` with features of voxels.
    """

    def __init__(self, camera: dict, lidar: dict, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.camera = MODELS.build(camera)
        self.lidar = MODELS.build(lidar)
        self.grid, self.channels, self.image_channels = self.lidar.grid, self.lidar.channels, self.camera.channels
        for unused in (self.camera.depth_net, self.camera.lift, self.camera.convs):
            # Distributed training waits for the gradient of every parameter that wants one.
            unused.requires_grad_(False)

    def forward(self, batch: SensorBatch, masking: InputMasking | None = None) -> EncoderOutput:
        """Encode a batch.

        Args:
            batch: sensor data with `images`, `rig` and `points`.
            masking: says which part of the input is hidden; None hides nothing.

        Returns:
            The volume and voxels of the LiDAR, with the maps of the images.

        Raises:
            ValueError: as the two encoders.
        """
        lidar = self.lidar(batch, masking)
        maps, camera = self.camera.image_maps(batch, masking), self.camera
        cells = cells_of_levels(camera.neck_strides, camera.neck_offsets, batch.rig, camera.grid)
        return EncoderOutput(lidar.computed, lidar.losses, lidar.voxels, ImageFeatures(maps, cells))
