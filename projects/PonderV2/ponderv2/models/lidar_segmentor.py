"""Segmentation: an encoder computes features, and a head predicts the class of every point from them."""

from collections.abc import Sequence

import torch
from mmdet3d.structures import Det3DDataSample, PointData
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.shapes import Int
from ponderv2.structures import EncoderOutput, FeatureVolume, SensorBatch, Voxels

from .finetuned_model import FinetunedModel, check_unaugmented


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
        cache_voxels: whether the voxels of each training frame are encoded once and then kept in memory, with features
            in half precision: a linear probe then costs no more than its head. It needs a frozen encoder without
            trained parts that has features of voxels, and a pipeline without augmentation. Frames that are rotated,
            scaled, shifted or flipped are refused; jittered or left out points would not be noticed. Losses of the
            encoder are not computed.

    Raises:
        UserError: `cache_voxels` is set for an encoder that is not frozen, or not all of it.
    """

    def __init__(
        self,
        encoder: dict,
        head: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        freeze_encoder: bool = False,
        trained_parts: Sequence[str] = (),
        cache_voxels: bool = False,
    ) -> None:
        if cache_voxels and (not freeze_encoder or trained_parts):
            raise UserError("LidarSegmentor: cache_voxels needs freeze_encoder=True and no trained_parts")
        super().__init__(encoder, head, data_preprocessor, init_cfg, freeze_encoder, trained_parts)
        self._cached_voxels: dict[str, Voxels] | None = {} if cache_voxels else None

    def unfreeze_encoder(self) -> None:
        """Undo `freeze_encoder`, except for parameters that the encoder itself freezes, and empty the cache."""
        self._cached_voxels = None
        super().unfreeze_encoder()

    def encode(self, inputs: SensorBatch) -> EncoderOutput:
        """Return the output of the encoder for a batch."""
        return self.encoder(inputs)

    def loss(self, inputs: SensorBatch, data_samples: Sequence[Det3DDataSample]) -> dict[str, Tensor]:
        """Return the losses of the head, and those of the encoder.

        Raises:
            UserError: a sample has no labels, another number of them than points, or one that is no class.
        """
        labels = [self._labels(k, sample, inputs) for k, sample in enumerate(data_samples)]
        encoded = self.encode(inputs) if self._cached_voxels is None else self._cached_output(inputs, data_samples)
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

    @torch.no_grad()
    def _cached_output(self, inputs: SensorBatch, data_samples: Sequence[Det3DDataSample]) -> EncoderOutput:
        """Put the voxels of a batch together from the cache; if a frame is missing there, encode the batch first."""
        check_unaugmented(data_samples, "LidarSegmentor: cache_voxels")
        tokens = [sample.token for sample in data_samples]
        cache = self._cached_voxels
        if not all(token in cache for token in tokens):
            voxels = self.encode(inputs).voxels
            if voxels is None:
                raise UserError("LidarSegmentor: cache_voxels is set, but the encoder has no features of voxels")
            for number, token in enumerate(tokens):
                cache[token] = _halved(voxels.of_sample(number))
        voxels = Voxels.joined([cache[token] for token in tokens])

        def no_volume() -> FeatureVolume:
            raise UserError("LidarSegmentor: cache_voxels keeps no volume; expected a head that reads voxels")

        return EncoderOutput(no_volume, voxels=voxels.with_features(voxels.features.float()))

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


def _halved(voxels: Voxels) -> Voxels:
    return voxels.with_features(voxels.features.half())
