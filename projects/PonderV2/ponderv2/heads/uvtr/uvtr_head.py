"""The detection head of UVTR: queries that predict boxes from a feature volume."""

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

from .box_code import CODE_SIZE, encode_boxes
from .box_decoding import BoxDecoder
from .denoising import Denoising, DenoisingQueries
from .detection_losses import DetectionLoss, LayerSums, QueryTargets, by_layer, normalize
from .matching import HungarianMatcher
from .queries import EmbeddedQueries, ReferenceQueries
from .target_boxes import checked_boxes_and_labels
from .uvtr_decoder import QueryPredictions, UVTRDecoder


@MODELS.register_module()
class UVTRHead(BaseModule):
    """Predicts a set of boxes from a feature volume (UVTR, NeurIPS 2022; UniPAD fine-tunes with it).

    The two published heads are two sets of arguments. `UVTRHead`, of the camera ablation, is the default with
    `channels=128`. `UVTRDNHead`, of LiDAR, fusion and the final camera model, is `channels=256`,
    `query_init="reference"`, `denoising=dict()`, `iou_weight=0.5` and
    `code_weights=(2, 2, 1, 1, 1, 1, 1, 1, 0.2, 0.2)`. LiDAR and fusion add `decoding=dict(use_iou=True)`, and some of
    their published configs `nms=dict(barrier=0.2, motorcycle=0.2, traffic_cone=0.2)` in `decoding`.

    BEVFormer's head is `cross_attention="deformable"` with `code_weights=(1, 1, 1, 1, 1, 1, 1, 1, 0.2, 0.2)`, on a
    volume of one cell in height.

    The head computes in float32 under autocast, too. References are fractions of the range of the volume's grid.

    Args:
        in_channels: channels of the volume.
        num_classes: number of classes; labels are 0 … num_classes − 1.
        num_queries: number of learned queries; published 900.
        channels: channels of the queries; None takes those of the volume.
        num_layers: number of layers of `UVTRDecoder`.
        num_heads: heads of its self-attention.
        ffn_channels: hidden channels of its feed-forward nets.
        dropout: probability of its dropout.
        cross_attention: how its layers read the volume, "sample" or "deformable", see `UVTRDecoder`.
        volume_norm: whether every channel of the volume gets mean 0 and variance 1 over its cells before it is read,
            without learned weights. It is meant for encoders that end without a norm, such as a pull lift with
            `num_convs=0`: their features may be twenty times smaller than the queries, which then learn to do without
            them. Published encoders end with normed convolutions and do not need it.
        query_init: kind of the learned queries, "embedding" (`EmbeddedQueries`) or "reference" (`ReferenceQueries`).
        denoising: arguments of `Denoising`, which needs "reference" queries; None trains without denoising.
        cls_weight: factor of the loss of the classes.
        bbox_weight: factor of the loss of the box codes.
        iou_weight: factor of the loss of the predicted overlaps; 0 builds no overlap branches.
        code_weights: factors of the code's dimensions, in the loss of the codes and in the matching.
        matching: arguments of `HungarianMatcher`, which override `code_weights` there.
        decoding: arguments of `BoxDecoder`.
        init_cfg: initialization by mmengine, see `BaseModule`.

    Raises:
        ValueError: when the arguments do not fit together.
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
        cross_attention: str = "sample",
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
            raise ValueError("denoising: needs query_init='reference', because its queries have given references")
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
            in_channels,
            channels,
            num_classes,
            num_layers,
            num_heads,
            ffn_channels,
            dropout,
            with_iou=iou_weight > 0,
            cross_attention=cross_attention,
        )
        self.denoising = None if denoising is None else Denoising(**denoising)
        self.losses = DetectionLoss(cls_weight, bbox_weight, iou_weight, code_weights)
        self.matcher = HungarianMatcher(**{"code_weights": tuple(code_weights)} | (matching or {}))

    def forward(self, volume: FeatureVolume, denoising: DenoisingQueries | None = None) -> QueryPredictions:
        """Predict with all queries after each decoder layer.

        Args:
            volume: volume of the batch.
            denoising: denoising queries, whose predictions come before those of the learned ones.
        """
        with torch.autocast(volume.data.device.type, enabled=False):
            data = volume.data.float()
            volume = volume.with_data(F.instance_norm(data) if self.volume_norm else data)
            batch = volume.data.shape[0]
            start = [part.expand(batch, -1, -1) for part in self.queries()]
            attn_mask = None
            if denoising is not None:
                attn_mask = denoising.attn_mask
                dn_start = self.queries.at(denoising.references)
                start = [torch.cat(pair, dim=1) for pair in zip(dn_start, start, strict=True)]
            return self.decoder(volume, *start, attn_mask)

    def loss(self, volume: FeatureVolume, targets: list[InstanceData]) -> dict[str, Tensor]:
        """Return the losses of a batch, each a scalar: `loss_cls`, `loss_bbox` and `loss_iou` of the last layer.

        Those of layer i before it are called `d{i}.loss_...`. In training there are also losses of denoising queries,
        called `dn_loss_...` and `d{i}.dn_loss_...`.

        Args:
            volume: volume of the batch.
            targets: true boxes of each sample, with `bboxes_3d` (`LiDARInstance3DBoxes`; an unknown velocity is NaN)
                and `labels_3d`.

        Raises:
            ValueError: when a label is no class, a box has no extent, or the number of samples is not the volume's.
            FloatingPointError: when predictions are not finite.
        """
        if len(targets) != volume.data.shape[0]:
            raise ValueError(f"UVTRHead: {len(targets)} targets for a batch of {volume.data.shape[0]}")
        with torch.autocast(volume.data.device.type, enabled=False):
            boxes, labels = checked_boxes_and_labels(targets, self.num_classes, volume.data.device, "UVTRHead")
            codes = [encode_boxes(box) for box in boxes]
            dn_queries = None
            if self.training and self.denoising is not None:
                dn_queries = self.denoising(boxes, labels, volume.grid, self.num_queries, self.num_classes)
            predictions = self.forward(volume, dn_queries)
            sums: dict[str, LayerSums] = {}
            if dn_queries is not None:
                dn_predictions, predictions = predictions.split(dn_queries.labels.shape[1])
                dn_targets = self._denoising_targets(dn_predictions, dn_queries, codes)
                for name, part in self.losses(dn_predictions, dn_targets).items():
                    sums[f"dn_{name}"] = replace(part, total=self.denoising.weight * part.total)
            sums = self.losses(predictions, self._matched_targets(predictions, labels, codes)) | sums
            return by_layer(normalize(sums))

    @torch.no_grad()
    def predict(self, volume: FeatureVolume) -> list[InstanceData]:
        """Return the boxes of each sample by descending score: `bboxes_3d`, `scores_3d`, `labels_3d`."""
        last = self.forward(volume)
        return [
            self.decoding(last.logits[-1, b], last.codes[-1, b], None if last.ious is None else last.ious[-1, b])
            for b in range(volume.data.shape[0])
        ]

    def _matched_targets(
        self, predictions: QueryPredictions, labels: list[Int[Tensor, "_"]], codes: list[Float[Tensor, "_ 10"]]
    ) -> QueryTargets:
        """Make the targets of the learned queries: one query of each layer for each box, background for the others."""
        target_labels = labels[0].new_full(predictions.logits.shape[:3], self.num_classes)
        layer = torch.arange(len(target_labels), device=target_labels.device)[:, None]
        samples, queries, box_codes = [], [], []
        for b, (label, code) in enumerate(zip(labels, codes, strict=True)):
            query, box = self.matcher(predictions.logits[:, b], predictions.codes[:, b], label, code)
            target_labels[layer, b, query] = label[box]
            samples.append(label.new_full((query.shape[1],), b))
            queries.append(query)
            box_codes.append(code[box])
        sample = torch.cat(samples)
        return QueryTargets(target_labels, sample, torch.cat(queries, dim=1), torch.cat(box_codes, dim=1), len(sample))

    def _denoising_targets(
        self, predictions: QueryPredictions, dn_queries: DenoisingQueries, codes: list[Float[Tensor, "_ 10"]]
    ) -> QueryTargets:
        """Make the targets of denoising queries: the box that each is a copy of, or background when too far from it."""
        layers = len(predictions.logits)
        has_box = (dn_queries.labels >= 0) & (dn_queries.labels < self.num_classes)
        sample, query = has_box.nonzero(as_tuple=True)
        first_box = torch.tensor([0] + [len(code) for code in codes[:-1]], device=sample.device).cumsum(0)
        code = torch.cat(codes)[first_box[sample] + dn_queries.boxes[sample, query]]
        count = self.denoising.expected_share * int((dn_queries.labels >= 0).sum())
        target_labels = dn_queries.labels.expand(layers, -1, -1)
        return QueryTargets(target_labels, sample, query.expand(layers, -1), code.expand(layers, -1, -1), count)
