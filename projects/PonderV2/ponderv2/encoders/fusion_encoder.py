"""The fusion encoder: it turns images and LiDAR sweeps into one feature volume."""

from mmengine.model import BaseModule, ModuleList

from ponderv2.masking import InputMasking
from ponderv2.registry import MODELS
from ponderv2.structures import EncoderOutput, FeatureVolume, SensorBatch

from .blocks import conv3d_block


@MODELS.register_module()
class FusionEncoder(BaseModule):
    """Adds the volumes of a camera and a LiDAR encoder and convolves the sum (UVTR §3.2; UniPAD §3.1).

    UniPAD's code ships no joint pre-training; it merges separately trained encoders for fine-tuning, for which
    there is `tools/merge_checkpoints.py`. Joint pre-training, and the dropping of a whole sensor that the masking can
    ask for, are additions of this project.

    Args:
        camera: config of a `CameraEncoder`; its state-dict names start with `camera.`.
        lidar: config of a `LidarEncoder`; its state-dict names start with `lidar.`.
        num_convs: number of 3×3×3 convolutions over the sum, published 1.
        norm_cfg: norm of these convolutions, in mmcv's terms; published BN3d.

    Raises:
        ValueError: when the two encoders fill different volumes.
    """

    def __init__(
        self,
        camera: dict,
        lidar: dict,
        num_convs: int = 1,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.camera = MODELS.build(camera)
        self.lidar = MODELS.build(lidar)
        for name in ("grid", "channels"):
            ours, theirs = getattr(self.camera, name), getattr(self.lidar, name)
            if ours != theirs:
                raise ValueError(
                    f"FusionEncoder: {name} of the camera encoder is {ours}, of the LiDAR encoder {theirs}"
                )
        self.grid, self.channels = self.camera.grid, self.camera.channels
        self.fuse = ModuleList(conv3d_block(self.channels, self.channels, norm_cfg) for _ in range(num_convs))

    def forward(self, batch: SensorBatch, masking: InputMasking | None = None) -> EncoderOutput:
        """Encode a batch. A sensor that the masking drops of a sample counts as a volume of zeros.

        Args:
            batch: sensor data with `images`, `rig` and `points`.
            masking: says which part of the input is hidden; None hides nothing.

        Returns:
            The fused volume, and the losses of both encoders.

        Raises:
            ValueError: as the two encoders.
        """
        outputs = self.camera(batch, masking), self.lidar(batch, masking)
        camera, lidar = (output.volume.data for output in outputs)
        kept = None if masking is None else masking.draw_sensors(len(camera), camera.device)
        if kept is not None:
            # Times zero instead of skipping: every parameter keeps a place in the graph.
            weight = kept.to(camera.dtype)[:, :, None, None, None, None]
            camera, lidar = camera * weight[:, 0], lidar * weight[:, 1]
        data = camera + lidar
        for conv in self.fuse:
            data = conv(data)
        return EncoderOutput(FeatureVolume(data, self.grid), outputs[0].losses | outputs[1].losses)
