"""The head of segmentation: it classifies points by the features around them."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ponderv2.encoders.sparse.row_norms import SparseBatchNorm
from ponderv2.errors import UserError
from ponderv2.geometry import gather_image_features, sample_volume
from ponderv2.registry import MODELS
from ponderv2.shapes import Float, Int
from ponderv2.structures import CameraRig, EncoderOutput

from .segmentation_losses import SegmentationLoss


@MODELS.register_module()
class PointSegmentationHead(BaseModule):
    """Classifies every point by the feature of its voxel and its own offset from the centre of that voxel.

    An encoder without features of voxels, such as `CameraEncoder`, is read from its volume, trilinearly at the point;
    maps of images that an encoder hands on (`PointFusionEncoder`) are gathered at the pixels of the point. A point
    outside the range of the voxels, or in a cell without any, has a feature of zeros. The head computes in float32
    under autocast, too.

    Args:
        in_channels: channels of the features of a voxel, or of the volume.
        num_classes: number of classes; nuScenes-lidarseg has 16.
        hidden_channels: width of a hidden layer; None classifies linearly, as published (SpUNet, linear probes).
        image_channels: channels of the maps of images; 0 where the encoder hands none on.
        use_offset: whether the offset counts; without, points of a voxel are all alike.
        norm_features: whether features are batch-normed first, without learned scales. A linear probe of a frozen
            encoder then does not depend on their scale.
        loss: arguments of `SegmentationLoss`, but for `num_classes`.

    Raises:
        UserError: the loss does not fit, such as weights for another number of classes.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int = 16,
        hidden_channels: int | None = None,
        image_channels: int = 0,
        use_offset: bool = True,
        norm_features: bool = False,
        loss: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes, self.image_channels, self.use_offset = num_classes, image_channels, use_offset
        channels = in_channels + image_channels
        self.in_channels = in_channels
        self.norm = SparseBatchNorm(channels, affine=False) if norm_features else nn.Identity()
        channels += 3 * use_offset
        if hidden_channels is None:
            self.classifier = nn.Linear(channels, num_classes)
        else:
            self.classifier = nn.Sequential(
                nn.Linear(channels, hidden_channels, bias=False),
                SparseBatchNorm(hidden_channels),
                nn.ReLU(),
                nn.Linear(hidden_channels, num_classes),
            )
        self.losses = SegmentationLoss(**(loss or {}), num_classes=num_classes)

    def forward(
        self, encoded: EncoderOutput, points: Sequence[Tensor], rig: CameraRig | None = None
    ) -> Float[Tensor, "p k"]:
        """Compute the logits of all points of a batch; samples follow one another.

        Args:
            encoded: what the encoder has computed.
            points: point cloud `[P, C]` of each sample, (x, y, z, ...) in metres.
            rig: cameras, for maps of images.

        Raises:
            UserError: the encoder gives other features than the head was built for.
        """
        features, offsets = self._around(encoded, points)
        if self.image_channels:
            features = torch.cat([features, self._of_images(encoded, points, rig)], dim=1)
        with torch.autocast(features.device.type, enabled=False):
            features = self.norm(features.float())
            if self.use_offset:
                features = torch.cat([features, offsets.float()], dim=1)
            return self.classifier(features)

    def loss(
        self,
        encoded: EncoderOutput,
        points: Sequence[Tensor],
        labels: Int[Tensor, "p"],
        rig: CameraRig | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses of `SegmentationLoss`; arguments as in `forward`, labels of all points of the batch."""
        logits = self(encoded, points, rig)
        with torch.autocast(logits.device.type, enabled=False):
            return self.losses(logits, labels)

    def _around(
        self, encoded: EncoderOutput, points: Sequence[Tensor]
    ) -> tuple[Float[Tensor, "p c"], Float[Tensor, "p 3"]]:
        """Return the feature of the voxel of each point, or of the volume at it, and the offset in its cell."""
        if encoded.voxels is not None:
            places = encoded.voxels.locate(points)
            # A product with 0 instead of leaving points out keeps every parameter in the graph.
            features = encoded.voxels.features[places.rows] * places.found[:, None]
            self._check("voxels", features.shape[1], self.in_channels)
            return features, places.offsets
        volume = encoded.volume
        self._check("the volume", volume.data.shape[1], self.in_channels)
        features, offsets = [], []
        for data, cloud in zip(volume.data, points, strict=True):
            xyz = cloud[:, :3]
            features.append(sample_volume(volume.with_data(data[None]), xyz[None])[0])
            offsets.append(volume.grid.place_in_cell(xyz.double())[2].float())
        return torch.cat(features), torch.cat(offsets)

    def _of_images(
        self, encoded: EncoderOutput, points: Sequence[Tensor], rig: CameraRig | None
    ) -> Float[Tensor, "p c"]:
        if encoded.images is None or rig is None:
            raise UserError(
                f"PointSegmentationHead: image_channels is {self.image_channels}, but there are no maps of images; "
                "they come from PointFusionEncoder and from cameras that the pipeline loads"
            )
        maps, cells = encoded.images.maps, encoded.images.cells
        self._check("the maps of images", maps[0].shape[2], self.image_channels)
        return torch.cat(
            [
                gather_image_features(
                    cloud[:, :3], [level[b] for level in maps], cells, rig.lidar2img[b], rig.image_size[b]
                )
                for b, cloud in enumerate(points)
            ]
        )

    def _check(self, what: str, found: int, expected: int) -> None:
        if found != expected:
            raise UserError(
                f"PointSegmentationHead: the head was built for {expected} channels of {what}, the encoder gives "
                f"{found}"
            )
