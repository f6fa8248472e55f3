"""The detection head of UVTR: queries that find boxes in a feature volume."""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor

from ponderv2.registry import MODELS
from ponderv2.shapes import Float, Int
from ponderv2.structures import FeatureVolume

from .box_code import CODE_SIZE, encode_boxes, gravity_boxes
from .box_decoding import BoxDecoder
from .denoising import Denoising, DenoisingQueries
from .detection_losses import DetectionLoss, LayerSums, QueryTargets, by_layer, normalise
from .matching import HungarianMatcher
from .queries import EmbeddedQueries, ReferenceQueries
from .uvtr_decoder import QueryPredictions, UVTRDecoder


@MODELS.register_module()
class UVTRHead(BaseModule):
    """Boxes from a feature volume by set prediction (UVTR, NeurIPS 2022; UniPAD fine-tunes with it).

    The two published heads are two sets of arguments. `UVTRHead`, of the camera ablation, is the default with
    `channels=128`. `UVTRDNHead`, of LiDAR, fusion and the final camera model, is `channels=256`,
    `query_init="reference"`, `denoising=dict()`, `iou_weight=0.5` and
    `code_weights=(2, 2, 1, 1, 1, 1, 1, 1, 0.2, 0.2)`, with `decoding=dict(use_iou=True)` for LiDAR and fusion and
    there `nms=dict(barrier=0.2, motorcycle=0.2, traffic_cone=0.2)` where published.

    Everything is computed in float32 whatever the precision around. Queries point into the range of the grid that
    comes with the volume.

    Args:
        in_channels: of the volume.
        num_classes: labels are 0 … num_classes − 1.
        num_queries: published 900.
        channels: of the queries; those of the volume if None.
        num_layers, num_heads, ffn_channels, dropout: of `UVTRDecoder`.
        volume_norm: give every channel of the volume mean 0 and variance 1 over its cells before it is read, without
            weights. For encoders that end without a norm, such as a pull lift with `num_convs=0`: their features
            may be twenty times smaller than the queries, which then learn to do without them. Published encoders
            end with normed convolutions, and nothing is normed here.
        query_init: "embedding" (`EmbeddedQueries`) or "reference" (`ReferenceQueries`).
        denoising: arguments of `Denoising`; None trains without. Needs "reference".
        cls_weight, bbox_weight, iou_weight: of the losses; an `iou_weight` of 0 builds no overlap branch.
        code_weights: of the code's dimensions, in the L1 loss and in the matching.
        matching: arguments of `HungarianMatcher`, other than the code's weights.
        decoding: arguments of `BoxDecoder`.

    Raises:
        ValueError: when the options do not fit together.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        num_queries: int = 900,
        channels: int | None = None,
        num_layers: int = 6,
        num_heads: int = 8,
        ffn_channels: int = 512,
        dropout: float = 0.1,
        volume_norm: bool = False,
        query_init: str = "embedding",
        denoising: dict | None = None,
        cls_weight: float = 2.0,
        bbox_weight: float = 0.25,
        iou_weight: float = 0.0,
        code_weights: Sequence[float] = (1.0,) * CODE_SIZE,
        matching: dict | None = None,
        decoding: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if query_init not in ("embedding", "reference"):
            raise ValueError(f"query_init: expected 'embedding' or 'reference', got {query_init!r}")
        if denoising is not None and query_init != "reference":
            raise ValueError("denoising: needs query_init='reference', as its queries start at given places")
        self.decoding = BoxDecoder(**decoding or {})
        if self.decoding.use_iou and iou_weight == 0:
            raise ValueError("decoding.use_iou: needs an iou_weight above 0, else nothing learns the overlap")
        if self.decoding.nms is not None and len(self.decoding.classes) != num_classes:
            raise ValueError(
                f"decoding.classes: expected {num_classes} names to go with decoding.nms, got {self.decoding.classes}"
            )
        channels = channels or in_channels
        self.num_classes = num_classes
        self.num_queries = num_queries
        self.volume_norm = volume_norm
        queries = EmbeddedQueries if query_init == "embedding" else ReferenceQueries
        self.queries = queries(num_queries, channels)
        self.decoder = UVTRDecoder(
            in_channels, channels, num_classes, num_layers, num_heads, ffn_channels, dropout, with_iou=iou_weight > 0
        )
        self.denoising = None if denoising is None else Denoising(**denoising)
        self.losses = DetectionLoss(cls_weight, bbox_weight, iou_weight, code_weights)
        self.matcher = HungarianMatcher(**{"code_weights": tuple(code_weights)} | (matching or {}))

    def forward(self, volume: FeatureVolume, denoising: DenoisingQueries | None = None) -> QueryPredictions:
        """What all queries say after each layer, those of `denoising` first."""
        with torch.autocast(volume.data.device.type, enabled=False):
            data = volume.data.float()
            volume = volume.with_data(F.instance_norm(data) if self.volume_norm else data)
            batch = volume.data.shape[0]
            start = [part.expand(batch, -1, -1) for part in self.queries()]
            visible = None
            if denoising is not None:
                visible = denoising.visible
                copies = self.queries.at(denoising.references)
                start = [torch.cat(pair, dim=1) for pair in zip(copies, start, strict=True)]
            return self.decoder(volume, *start, visible)

    def loss(self, volume: FeatureVolume, targets: list[InstanceData]) -> dict[str, Tensor]:
        """Losses of a batch, a scalar each: `loss_cls`, `loss_bbox`, `loss_iou` of the last layer.

        Those of layer i before it are called `d{i}.loss_...`; those of denoising queries, only in training,
        `dn_loss_...` likewise.

        Args:
            volume: of the batch.
            targets: a sample each: `bboxes_3d`, `LiDARInstance3DBoxes`, unknown velocities NaN; `labels_3d`.

        Raises:
            ValueError: for a label that is no class, a box without extent, or another number of samples.
            FloatingPointError: when predictions are not finite.
        """
        if len(targets) != volume.data.shape[0]:
            raise ValueError(f"UVTRHead: {len(targets)} targets for a batch of {volume.data.shape[0]}")
        with torch.autocast(volume.data.device.type, enabled=False):
            boxes, labels = self._boxes_and_labels(targets, volume.data.device)
            codes = [encode_boxes(box) for box in boxes]
            copies = None
            if self.training and self.denoising is not None:
                copies = self.denoising(boxes, labels, volume.grid, self.num_queries, self.num_classes)
            predictions = self.forward(volume, copies)
            sums: dict[str, LayerSums] = {}
            if copies is not None:
                of_copies, predictions = predictions.split(copies.labels.shape[1])
                wanted = self._targets_of_copies(of_copies, copies, codes)
                for name, part in self.losses(of_copies, wanted).items():
                    sums[f"dn_{name}"] = replace(part, total=self.denoising.weight * part.total)
            sums = self.losses(predictions, self._matched(predictions, labels, codes)) | sums
            return by_layer(normalise(sums))

    @torch.no_grad()
    def predict(self, volume: FeatureVolume) -> list[InstanceData]:
        """Found boxes of each sample: `bboxes_3d`, `scores_3d`, `labels_3d`, by descending score."""
        last = self.forward(volume)
        return [
            self.decoding(last.logits[-1, b], last.codes[-1, b], None if last.ious is None else last.ious[-1, b])
            for b in range(volume.data.shape[0])
        ]

    def _boxes_and_labels(
        self, targets: list[InstanceData], device: torch.device
    ) -> tuple[list[Float[Tensor, "_ 9"]], list[Int[Tensor, "_"]]]:
        boxes = [gravity_boxes(target.bboxes_3d).to(device, torch.float32) for target in targets]
        labels = [target.labels_3d.to(device) for target in targets]
        for b, (box, label) in enumerate(zip(boxes, labels, strict=True)):
            if ((label < 0) | (label >= self.num_classes)).any():
                raise ValueError(
                    f"UVTRHead: sample {b} has labels {sorted(set(label.tolist()))}, expected 0 to "
                    f"{self.num_classes - 1}; does the data set drop other categories?"
                )
            flat = (box[:, 3:6] <= 0).any(dim=1)
            if flat.any():
                raise ValueError(
                    f"UVTRHead: sample {b} has a box of (l, w, h) = {tuple(box[flat][0, 3:6].tolist())} metres, "
                    "expected all above 0"
                )
        return boxes, labels

    def _matched(
        self, predictions: QueryPredictions, labels: list[Int[Tensor, "_"]], codes: list[Float[Tensor, "_ 10"]]
    ) -> QueryTargets:
        """What the learned queries should say: each box goes to one query of a layer, the others are background."""
        wanted = labels[0].new_full(predictions.logits.shape[:3], self.num_classes)
        layer = torch.arange(len(wanted), device=wanted.device)[:, None]
        samples, queries, box_codes = [], [], []
        for b, (label, code) in enumerate(zip(labels, codes, strict=True)):
            query, box = self.matcher(predictions.logits[:, b], predictions.codes[:, b], label, code)
            wanted[layer, b, query] = label[box]
            samples.append(label.new_full((query.shape[1],), b))
            queries.append(query)
            box_codes.append(code[box])
        sample = torch.cat(samples)
        return QueryTargets(wanted, sample, torch.cat(queries, dim=1), torch.cat(box_codes, dim=1), len(sample))

    def _targets_of_copies(
        self, predictions: QueryPredictions, copies: DenoisingQueries, codes: list[Float[Tensor, "_ 10"]]
    ) -> QueryTargets:
        """What the noisy copies should say: the box they were made of, or background when too far from it."""
        layers = len(predictions.logits)
        sample, query = ((copies.labels >= 0) & (copies.labels < self.num_classes)).nonzero(as_tuple=True)
        first_box = torch.tensor([0] + [len(code) for code in codes[:-1]], device=sample.device).cumsum(0)
        code = torch.cat(codes)[first_box[sample] + copies.boxes[sample, query]]
        count = self.denoising.expected_share * int((copies.labels >= 0).sum())
        return QueryTargets(
            copies.labels.expand(layers, -1, -1), sample, query.expand(layers, -1), code.expand(layers, -1, -1), count
        )
