"""Detection: encode, then let a head find boxes in the volume."""

import numpy as np
import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.model import BaseModel
from torch import Tensor

from ponderv2.registry import MODELS
from ponderv2.structures import FeatureVolume, SensorBatch
from ponderv2.checkpoints import load_encoder


@MODELS.register_module()
class VolumeDetector(BaseModel):
    """An encoder and a head that finds boxes in its volume (UVTR; UniPAD §4.1).

    Nothing is masked. What the encoder supervises by itself, such as depth, is part of the loss.

    Args:
        encoder: sensors to a `FeatureVolume`; its state-dict names are those of pre-training.
        head: a `UVTRHead`.
        init_cfg: `dict(checkpoint=..., new=(...))`: where the encoder starts, see `ponderv2.checkpoints.load_encoder`;
            None leaves it as it is built ("from scratch": with an image backbone's own weights, if it has any).
        freeze_encoder: train the head alone, on features as they are at the start; the encoder then also keeps the
            running statistics of its norms. A probe of what pre-training has learned, not a published protocol; with
            `ponderv2.engine.UnfreezeEncoderHook` also a start, until the head is worth the encoder's gradients.
        keep_volumes: of a frozen encoder, keep each training frame's volume in memory, in half precision, instead of
            computing it again: hundreds of steps a minute on a CPU. Needs a pipeline that augments
            nothing; turned, scaled or flipped scenes are refused, changed colours would go unnoticed.

    Raises:
        ValueError: `init_cfg` has other keys, or `keep_volumes` is asked of an encoder that changes.
    """

    def __init__(
        self,
        encoder: dict,
        head: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        freeze_encoder: bool = False,
        keep_volumes: bool = False,
    ) -> None:
        if init_cfg is not None and not {"checkpoint"} <= set(init_cfg) <= {"checkpoint", "new"}:
            raise ValueError(f"VolumeDetector: init_cfg takes checkpoint and new, got {sorted(init_cfg)}")
        if keep_volumes and not freeze_encoder:
            raise ValueError("VolumeDetector: keep_volumes needs freeze_encoder=True, else volumes change")
        super().__init__(data_preprocessor)
        self.encoder = MODELS.build(encoder)
        self.head = MODELS.build(head)
        self.pretrained = None if init_cfg is None else dict(init_cfg)
        self.freeze_encoder = freeze_encoder
        self._kept: dict[str, Tensor] | None = {} if keep_volumes else None
        self._frozen = [p for p in self.encoder.parameters() if p.requires_grad] if freeze_encoder else []
        for parameter in self._frozen:
            parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> "VolumeDetector":
        """Also what a frozen encoder must not do: update statistics, drop parts."""
        super().train(mode)
        if self.freeze_encoder:
            self.encoder.eval()
        return self

    def unfreeze_encoder(self) -> None:
        """Undo `freeze_encoder`, but for what the encoder itself holds fixed; volumes are kept no longer."""
        for parameter in self._frozen:
            parameter.requires_grad_(True)
        self._frozen, self._kept, self.freeze_encoder = [], None, False
        self.train(self.training)

    def init_weights(self) -> None:
        """Initialise all parts, then load the encoder that `init_cfg` names; mmengine calls it before training.

        Raises:
            FileNotFoundError, ValueError: as `load_encoder`.
        """
        super().init_weights()
        if self.pretrained is not None:
            load_encoder(self, self.pretrained["checkpoint"], self.pretrained.get("new", ()))

    def forward(
        self, inputs: SensorBatch, data_samples: list[Det3DDataSample] | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | list[Det3DDataSample] | FeatureVolume:
        """`loss`: losses by name; `predict`: the samples with `pred_instances_3d`; `tensor`: the feature volume."""
        if mode == "tensor":
            return self.encoder(inputs)
        if mode == "loss":
            return self.loss(inputs, data_samples)
        if mode == "predict":
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode: expected 'tensor', 'loss' or 'predict', got {mode!r}")

    def loss(self, inputs: SensorBatch, data_samples: list[Det3DDataSample]) -> dict[str, Tensor]:
        """Losses of the head, and of the encoder where it has any.

        Raises:
            ValueError: when a sample has no `gt_instances_3d`; a frame without boxes has empty ones.
        """
        without = [k for k, sample in enumerate(data_samples) if "gt_instances_3d" not in sample]
        if without:
            raise ValueError(
                f"VolumeDetector: sample {without[0]} of the batch has no gt_instances_3d; "
                "does the pipeline load boxes?"
            )
        volume = self.encoder(inputs) if self._kept is None else self._kept_volume(inputs, data_samples)
        device = volume.data.device
        return volume.losses | self.head.loss(volume, [sample.gt_instances_3d.to(device) for sample in data_samples])

    @torch.no_grad()
    def predict(self, inputs: SensorBatch, data_samples: list[Det3DDataSample]) -> list[Det3DDataSample]:
        """The samples with `pred_instances_3d`: `bboxes_3d`, `scores_3d`, `labels_3d`, in the augmented LiDAR frame."""
        for sample, found in zip(data_samples, self.head.predict(self.encoder(inputs)), strict=True):
            sample.pred_instances_3d = found
        return data_samples

    @torch.no_grad()
    def _kept_volume(self, inputs: SensorBatch, data_samples: list[Det3DDataSample]) -> FeatureVolume:
        for sample in data_samples:
            if not np.array_equal(sample.get("lidar_aug", np.eye(4)), np.eye(4)):
                raise ValueError(
                    f"VolumeDetector: keep_volumes, but sample {sample.token} is augmented; take rotation, scale, "
                    "translation and flips out of the pipeline"
                )
        tokens = [sample.token for sample in data_samples]
        if not all(token in self._kept for token in tokens):
            for token, data in zip(tokens, self.encoder(inputs).data, strict=True):
                self._kept[token] = data.half()
        return FeatureVolume(torch.stack([self._kept[token] for token in tokens]).float(), self.encoder.grid)
