"""The camera encoder: it turns images into a feature volume."""

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ponderv2.errors import UserError
from ponderv2.masking import InputMasking
from ponderv2.registry import MODELS
from ponderv2.structures import EncoderOutput, FeatureVolume, PastVolume, SensorBatch, VoxelGrid

from .blocks import conv3d_block
from .image.depth_supervision import DepthSupervision
from .image.map_offsets import neck_map_offsets
from .past_volumes import encode_history


@MODELS.register_module()
class CameraEncoder(BaseModule):
    """Runs an image backbone, a neck, a depth network and a lift (UniPAD §3.1; PonderV2 §4.2).

    A lift with `reads_history`, as `DeformableLift(history=True)`, also reads the volume of the frame before. It is
    computed from the `history` of the batch, see `encode_history`, or handed over by who has kept it. One with
    `reads_can_bus` is given the signals of the batch.

    Args:
        grid: arguments of the `VoxelGrid` that the encoder fills.
        img_backbone: config of a module that turns `[N, 3, H, W]` images and an optional visibility of blocks into
            maps; it has `channels`, `strides` and `offsets`, the pixels on which the first cells of its maps are
            centered.
        img_neck: config of a module that turns these maps into maps with `channels` channels, such as mmdet's FPN.
        neck_strides: width of a cell of each map of the neck, pixels.
        depth_net: config of a module that turns maps, and the rig where it is aware of the cameras, into logits of
            depth bins; None for a lift that does not read depths.
        lift: config of a module that turns maps and depth probabilities into a volume.
        channels: channels of the volume.
        num_convs: number of 3×3×3 convolutions after the lift; published 0 in pre-training, 3 in fine-tuning (there
            they are new).
        norm_cfg: norm of these convolutions, in mmcv's terms; published BN3d.
        depth_loss: arguments of `DepthSupervision`, but for its grid, which is this one's; in training the output then
            has a loss `loss_lift_depth`, for which the batch needs points. None supervises no depth; published in
            pre-training and with the pull lift.
        neck_offsets: pixel, along both axes, on which the first cell of each map of the neck is centered; None finds
            them from the backbone's, see `neck_map_offsets`.

    Raises:
        ValueError: when `neck_offsets` are not as many as `neck_strides`, not given and not to be found, or given for a
            grid with the published placement.
        UserError: when there is a depth network that the lift does not read, or none that it reads; or convolutions
            after a lift that reads the volume of the frame before.
    """

    def __init__(
        self,
        grid: dict,
        img_backbone: dict,
        img_neck: dict,
        neck_strides: tuple[int, ...],
        depth_net: dict | None,
        lift: dict,
        channels: int,
        num_convs: int = 0,
        norm_cfg: dict | None = None,
        depth_loss: dict | None = None,
        neck_offsets: tuple[float, ...] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.grid = VoxelGrid(**grid)
        self.neck_strides = tuple(neck_strides)
        self.img_backbone = MODELS.build(img_backbone)
        self.img_neck = MODELS.build(img_neck)
        self.neck_offsets = self._offsets(neck_offsets)
        self.input_proj = nn.Conv2d(channels, channels, 1)
        self.depth_net = None if depth_net is None else MODELS.build(depth_net)
        self.lift = MODELS.build(lift)
        if self.lift.reads_depths != (depth_net is not None):
            wanted = "a depth network" if self.lift.reads_depths else "None, because it does not read depths"
            raise UserError(f"depth_net: {type(self.lift).__name__} wants {wanted}")
        if depth_loss is not None and depth_net is None:
            raise UserError(f"depth_loss: {type(self.lift).__name__} has no depths to supervise; expected None")
        self.reads_history = getattr(self.lift, "reads_history", False)
        if self.reads_history and num_convs:
            raise UserError(f"num_convs: the lift reads the volume of the frame before; expected 0, got {num_convs}")
        self.reads_can_bus = getattr(self.lift, "reads_can_bus", False)
        self.channels = channels
        self.convs = ModuleList(conv3d_block(channels, channels, norm_cfg) for _ in range(num_convs))
        self.depth_loss = None if depth_loss is None else DepthSupervision(**depth_loss, grid=self.grid)

    def forward(
        self, batch: SensorBatch, masking: InputMasking | None = None, past: PastVolume | None = None
    ) -> EncoderOutput:
        """Encode a batch.

        Args:
            batch: sensor data with `images` and `rig`; for a `depth_loss` in training also with `points`.
            masking: says which part of the input is hidden; None hides nothing. Earlier frames are never masked.
            past: volume of the frame before, in the place of the current one; None computes it from the batch's
                `history`, if there is any.

        Raises:
            ValueError: when the batch has no images, no points for a `depth_loss`, or the neck does not give one
                map a stride.
            UserError: when there are earlier frames or signals of the CAN bus that the lift does not read.
        """
        if (batch.history or past is not None) and not self.reads_history:
            name = type(self.lift).__name__
            raise UserError(f"CameraEncoder: {name} does not read earlier frames; leave out history")
        if batch.can_bus is not None and not self.reads_can_bus:
            name = type(self.lift).__name__
            raise UserError(f"CameraEncoder: {name} does not read the CAN bus; leave out LoadCanBus")
        if past is None and batch.history:
            past = encode_history(self, batch)
        maps = self.image_maps(batch, masking)
        shape, logits, depths = maps[0].shape[:2], None, None
        if self.depth_net is not None:
            logits = [self.depth_net(m.flatten(0, 1), batch.rig).unflatten(0, shape) for m in maps]
            depths = [level.softmax(dim=2) for level in logits]
        losses = {}
        if self.depth_loss is not None and self.training:
            # Another name than that of the rendered depth.
            losses["loss_lift_depth"] = self.depth_loss(
                logits, self.neck_strides, batch.points, batch.rig, self.lift.depth_range, self.neck_offsets
            )
        more = {} if past is None else {"past": past}
        if self.reads_can_bus:
            more["can_bus"] = batch.can_bus
        data = self.lift(maps, depths, self.neck_strides, batch.rig, self.grid, self.neck_offsets, **more)
        for conv in self.convs:
            data = conv(data)
        return EncoderOutput(FeatureVolume(data, self.grid), losses)

    def image_maps(self, batch: SensorBatch, masking: InputMasking | None = None) -> list[Tensor]:
        """Compute the maps `[B, N, C, h, w]` of the images that are lifted, one for each of `neck_strides`.

        Raises:
            ValueError: when the batch has no images, or the neck does not give one map a stride.
        """
        if batch.images is None or batch.rig is None:
            raise UserError("CameraEncoder: the batch has no images; does the pipeline load and pack them?")
        images = batch.images.flatten(0, 1)
        if images.device.type == "cpu":
            # Depth-wise convolutions then take half the time, and ConvNeXt's norms rearrange nothing.
            images = images.contiguous(memory_format=torch.channels_last)
        visible = masking.draw_image_mask(images) if masking is not None else None
        maps = self.img_neck(self.img_backbone(images, visible))
        if len(maps) != len(self.neck_strides):
            raise ValueError(f"CameraEncoder: the neck gives {len(maps)} maps for strides {self.neck_strides}")
        return [self.input_proj(m).unflatten(0, batch.images.shape[:2]) for m in maps]

    def _offsets(self, given: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if self.grid.published:
            if given is not None:
                raise UserError(
                    f"neck_offsets: {tuple(given)} does not go with the grid's placement='published', which takes "
                    "every map for tiles of the image; expected None"
                )
            # The published code takes every map for tiles of the image.
            return None
        if given is None:
            return neck_map_offsets(self.neck_strides, self.img_backbone.strides, self.img_backbone.offsets)
        if len(given) != len(self.neck_strides):
            raise UserError(f"neck_offsets: {tuple(given)} does not go with neck_strides {self.neck_strides}")
        return tuple(float(offset) for offset in given)
