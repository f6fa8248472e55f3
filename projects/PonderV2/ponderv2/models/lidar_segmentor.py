"""Segmentation: an encoder computes features, and a head predicts the class of every point from them."""

from collections.abc import Sequence

import torch
from mmdet3d.structures import Det3DDataSample, PointData
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.shapes import Int
from ponderv2.structures import EncoderOutput, SensorBatch

from .finetuned_model import FinetunedModel


@MODELS.register_module()
class LidarSegmentor(FinetunedModel):
    """An encoder, and a head that predicts the class of every point (PonderV2 §4.2, nuScenes-lidarseg).

    The protocols of the field are settings: fine-tuning trains everything; a linear probe has `freeze_encoder` and a
    linear head; a decoder probe freezes the way down of a U-Net alone, `trained_parts=("pts_middle_encoder.up",
    "pts_middle_encoder.decode")`.

    Args:
        encoder: config of an encoder, which turns a `SensorBatch` into an `EncoderOutput`; its state-dict names are
            those of pre-training.
        head: config of a `PointSegmentationHead`.
        data_preprocessor: config of the preprocessor.
        init_cfg: weights that the encoder starts from, see `FinetunedModel`.
        freeze_encoder: whether the encoder keeps its weights, see `FinetunedModel`.
        trained_parts: parts of a frozen encoder that are trained all the same.
    """

    def encode(self, inputs: SensorBatch) -> EncoderOutput:
        """Return the output of the encoder for a batch."""
        return self.encoder(inputs)

    def loss(self, inputs: SensorBatch, data_samples: Sequence[Det3DDataSample]) -> dict[str, Tensor]:
        """Return the losses of the head, and those of the encoder.

        Raises:
            UserError: a sample has no labels, another number of them than points, or one that is no class.
        """
        labels = [self._labels(k, sample, inputs) for k, sample in enumerate(data_samples)]
        encoded = self.encode(inputs)
        on_device = torch.cat(labels).to(_points(inputs)[0].device)
        return encoded.losses | self.head.loss(encoded, inputs.points, on_device, inputs.rig)

    @torch.no_grad()
    def predict(self, inputs: SensorBatch, data_samples: Sequence[Det3DDataSample]) -> list[Det3DDataSample]:
        """Return the samples with `pred_pts_seg`: `pts_semantic_mask` `[N]`, and `pts_seg_logits` `[N, K]` of float32.

        With an `inverse_map` N is the number of points of the key frame's file, each of which takes the prediction of
        the row that the map leads to; without it, N is the number of points of the batch.
        """
        points = _points(inputs)
        logits = self.head(self.encode(inputs), points, inputs.rig).float()
        for sample, of_sample in zip(data_samples, logits.split([len(p) for p in points]), strict=True):
            if "inverse_map" in sample:
                of_sample = of_sample[sample.inverse_map.to(of_sample.device)]
            sample.pred_pts_seg = PointData(pts_semantic_mask=of_sample.argmax(dim=1), pts_seg_logits=of_sample)
        return list(data_samples)

    def _labels(self, place: int, sample: Det3DDataSample, inputs: SensorBatch) -> Int[Tensor, "p"]:
        where = f"LidarSegmentor: sample {sample.get('token', place)} of the batch"
        if "gt_pts_seg" not in sample:
            raise UserError(f"{where} has no gt_pts_seg; does the pipeline load labels of points?")
        labels, count = sample.gt_pts_seg.pts_semantic_mask, len(_points(inputs)[place])
        if len(labels) != count:
            raise UserError(f"{where} has {len(labels)} labels for {count} points")
        known = (labels == self.head.losses.ignore_label) | ((labels >= 0) & (labels < self.head.num_classes))
        if not known.all():
            raise UserError(
                f"{where} has the label {int(labels[~known][0])}; expected 0 to {self.head.num_classes - 1}, or "
                f"{self.head.losses.ignore_label} for none"
            )
        return labels.long()


def _points(inputs: SensorBatch) -> list[Tensor]:
    if inputs.points is None:
        raise UserError("LidarSegmentor: the batch has no points to classify; does the pipeline load and pack them?")
    return inputs.points
