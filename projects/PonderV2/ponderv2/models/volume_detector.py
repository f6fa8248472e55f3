"""Detection: an encoder computes a volume, and a head predicts boxes from it."""

import torch
from mmdet3d.structures import Det3DDataSample
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.structures import EncoderOutput, FeatureVolume, SensorBatch

from .finetuned_model import FinetunedModel, check_unaugmented


@MODELS.register_module()
class VolumeDetector(FinetunedModel):
    """An encoder, and a head that predicts boxes from its volume (UVTR; UniPAD §4.1).

    The input is not masked. The encoder's own losses, such as that of its depths, are added to those of the head.

    Args:
        encoder: config of an encoder, which turns a `SensorBatch` into an `EncoderOutput`; its state-dict names are
            those of pre-training.
        head: config of a `UVTRHead` or a `BEVCenterHead`.
        data_preprocessor: config of the preprocessor.
        init_cfg: `dict(checkpoint=..., new=(...), parts=None, head=False)`, the weights that the encoder starts from,
            see `load_encoder_weights`, and whether the head starts from them as well, which is published for fusion
            detectors (tools/merge_checkpoints.py takes it from the LiDAR detector). None trains from scratch, with an
            image backbone's own weights if it has any.
        freeze_encoder: whether the head is trained alone; the encoder then also keeps the running statistics of its
            norms. It shows what pre-training has learned and is not a published protocol. With
            `ponderv2.engine.UnfreezeEncoderHook` it is the warm-up of the head, after which all is trained.
        cache_volumes: whether the volume of each training frame is computed once and then kept in memory, in half
            precision: hundreds of steps a minute on a CPU. It needs a frozen encoder and a pipeline without
            augmentation. Frames that are rotated, scaled, shifted or flipped are refused; changed colours would not be
            noticed. Losses of the encoder are not computed.

    Raises:
        ValueError: when `init_cfg` has other keys, or `cache_volumes` is set for an encoder that is not frozen.
    """

    def __init__(
        self,
        encoder: dict,
        head: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        freeze_encoder: bool = False,
        cache_volumes: bool = False,
    ) -> None:
        if cache_volumes and not freeze_encoder:
            raise ValueError("VolumeDetector: cache_volumes needs freeze_encoder=True, because volumes must not change")
        super().__init__(encoder, head, data_preprocessor, init_cfg, freeze_encoder)
        self._cached_volumes: dict[str, Tensor] | None = {} if cache_volumes else None

    def unfreeze_encoder(self) -> None:
        """Undo `freeze_encoder`, except for parameters that the encoder itself freezes, and empty the volume cache."""
        self._cached_volumes = None
        super().unfreeze_encoder()

    def encode(self, inputs: SensorBatch) -> FeatureVolume:
        """Return the volume of a batch."""
        return self.encoder(inputs).volume

    def loss(self, inputs: SensorBatch, data_samples: list[Det3DDataSample]) -> dict[str, Tensor]:
        """Return the losses of the head, and those of the encoder.

        Raises:
            ValueError: when a sample has no `gt_instances_3d`; a frame without boxes must have empty ones.
        """
        without = [k for k, sample in enumerate(data_samples) if "gt_instances_3d" not in sample]
        if without:
            raise UserError(
                f"VolumeDetector: sample {without[0]} of the batch has no gt_instances_3d; "
                "does the pipeline load boxes?"
            )
        if self._cached_volumes is None:
            encoded = self.encoder(inputs)
        else:
            encoded = EncoderOutput(self._cached_volume(inputs, data_samples))
        device = encoded.volume.data.device
        targets = [sample.gt_instances_3d.to(device) for sample in data_samples]
        return encoded.losses | self.head.loss(encoded.volume, targets)

    @torch.no_grad()
    def predict(self, inputs: SensorBatch, data_samples: list[Det3DDataSample]) -> list[Det3DDataSample]:
        """Return the samples with `pred_instances_3d`, whose boxes are in the augmented LiDAR frame."""
        predictions = self.head.predict(self.encode(inputs))
        for sample, prediction in zip(data_samples, predictions, strict=True):
            sample.pred_instances_3d = prediction
        return data_samples

    @torch.no_grad()
    def _cached_volume(self, inputs: SensorBatch, data_samples: list[Det3DDataSample]) -> FeatureVolume:
        """Put the volume of a batch together from the cache; if a frame is missing there, encode the batch first."""
        check_unaugmented(data_samples, "VolumeDetector: cache_volumes")
        tokens = [sample.token for sample in data_samples]
        cache = self._cached_volumes
        if not all(token in cache for token in tokens):
            for token, data in zip(tokens, self.encoder(inputs).volume.data, strict=True):
                cache[token] = data.half()
        # One by one: on a CPU autocast to bfloat16 stacks nothing in float16.
        return FeatureVolume(torch.stack([cache[token].float() for token in tokens]), self.encoder.grid)
