"""What all fine-tuned models share: a head on an encoder that starts from pre-training and may be frozen."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from mmdet3d.structures import Det3DDataSample
from mmengine.model import BaseModel
from torch import Tensor, nn

from ponderv2.checkpoints import load_encoder_weights, load_head_weights
from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.structures import EncoderOutput, FeatureVolume, SensorBatch


class FinetunedModel(BaseModel):
    """An encoder, whose state-dict names are those of pre-training, and a head.

    Args:
        encoder: config of an encoder, which turns a `SensorBatch` into an `EncoderOutput`.
        head: config of the head.
        data_preprocessor: config of the preprocessor.
        init_cfg: `dict(checkpoint=..., new=(...))` or `dict(checkpoint=..., parts=(...))`, the weights that the encoder
            or parts of it start from, see `load_encoder_weights`. None trains from scratch, with an image backbone's
            own weights if it has any.
        freeze_encoder: whether the encoder keeps its weights, and the running statistics of its norms.
        trained_parts: parts of a frozen encoder that are trained all the same, by what their names begin with.

    Raises:
        ValueError: when `init_cfg` has other keys.
        UserError: `trained_parts` are named for an encoder that is not frozen, or the encoder has no such part.
    """

    def __init__(
        self,
        encoder: dict,
        head: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        freeze_encoder: bool = False,
        trained_parts: Sequence[str] = (),
    ) -> None:
        name = type(self).__name__
        if init_cfg is not None and not {"checkpoint"} <= set(init_cfg) <= {"checkpoint", "new", "parts", "head"}:
            raise ValueError(
                f"{name}: init_cfg: expected the keys checkpoint, new, parts and head, got {sorted(init_cfg)}"
            )
        if trained_parts and not freeze_encoder:
            raise UserError(f"{name}: trained_parts={tuple(trained_parts)} needs freeze_encoder=True")
        super().__init__(data_preprocessor)
        self.encoder = MODELS.build(encoder)
        self.head = MODELS.build(head)
        self.pretrained = None if init_cfg is None else dict(init_cfg)
        self.freeze_encoder = freeze_encoder
        self._trained_parts = tuple(_part(self.encoder, part) for part in trained_parts)
        trained = {id(p) for part in self._trained_parts for p in part.parameters()}
        candidates = [p for p in self.encoder.parameters() if p.requires_grad and id(p) not in trained]
        self._frozen = candidates if freeze_encoder else []
        for parameter in self._frozen:
            parameter.requires_grad_(False)

    def forward(
        self, inputs: SensorBatch, data_samples: Sequence[Det3DDataSample] | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | list[Det3DDataSample] | FeatureVolume | EncoderOutput:
        """Run the model in one of mmengine's modes.

        Args:
            inputs: the batch, from the preprocessor.
            data_samples: its samples; for "loss" with what is true of them, see `loss`.
            mode: "loss" returns losses by name, "predict" the samples with predictions, "tensor" what `encode` returns.

        Raises:
            ValueError: when there is no such mode.
        """
        if mode == "tensor":
            return self.encode(inputs)
        if mode == "loss":
            return self.loss(inputs, data_samples)
        if mode == "predict":
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode: expected 'tensor', 'loss' or 'predict', got {mode!r}")

    @abstractmethod
    def encode(self, inputs: SensorBatch) -> FeatureVolume | EncoderOutput:
        """Return what the head reads."""

    @abstractmethod
    def loss(self, inputs: SensorBatch, data_samples: Sequence[Det3DDataSample]) -> dict[str, Tensor]:
        """Return the losses of the head, and those of the encoder."""

    @abstractmethod
    def predict(self, inputs: SensorBatch, data_samples: Sequence[Det3DDataSample]) -> list[Det3DDataSample]:
        """Return the samples with predictions."""

    def train(self, mode: bool = True) -> "FinetunedModel":
        """Set the mode, but leave a frozen encoder in evaluation mode, which keeps its statistics as they are."""
        super().train(mode)
        if self.freeze_encoder:
            self.encoder.eval()
            for part in self._trained_parts:
                part.train(mode)
        return self

    @property
    def joining_parameters(self) -> list[nn.Parameter]:
        """The parameters that are frozen now and trained after `unfreeze_encoder`, for the optimizer to have them.

        Empty unless `freeze_encoder` is on. What the encoder itself freezes is not among them.
        """
        return list(self._frozen)

    def unfreeze_encoder(self) -> None:
        """Undo `freeze_encoder`, except for parameters that the encoder itself freezes."""
        for parameter in self._frozen:
            parameter.requires_grad_(True)
        self._frozen, self._trained_parts, self.freeze_encoder = [], (), False
        self.train(self.training)

    def init_weights(self) -> None:
        """Initialise all parts, then load the weights that `init_cfg` names; mmengine calls it before training.

        Raises:
            FileNotFoundError: when the checkpoint does not exist.
            UserError: when it does not cover the encoder, see `load_encoder_weights`, or the head where it is wanted.
        """
        super().init_weights()
        if self.pretrained is not None:
            try:
                taken = self.pretrained.get("new", ()), self.pretrained.get("parts")
                load_encoder_weights(self, self.pretrained["checkpoint"], *taken)
                if self.pretrained.get("head", False):
                    self._load_head(self.pretrained["checkpoint"])
            except FileNotFoundError as error:
                raise FileNotFoundError(
                    f"model.init_cfg.checkpoint: {error}; make it first, by the pre-training that writes it, of "
                    "a checkpoint of one that was interrupted by tools/export_encoder.py, or by "
                    "tools/merge_checkpoints.py; give another one (--cfg-options model.init_cfg.checkpoint=FILE), or "
                    "train the baseline (--scratch)"
                ) from error

    def _load_head(self, checkpoint: str) -> None:
        try:
            load_head_weights(self, checkpoint)
        except UserError as error:
            raise UserError(
                f"model.init_cfg.head: {error}; --cfg-options model.init_cfg.head=False starts the head new"
            ) from error


def check_unaugmented(samples: Sequence[Det3DDataSample], option: str) -> None:
    """Refuse frames that are rotated, scaled, shifted or flipped, of which nothing computed can be kept.

    Args:
        samples: samples of a batch.
        option: what keeps features of frames: "VolumeDetector: cache_volumes".

    Raises:
        UserError: a sample is augmented.
    """
    for sample in samples:
        if not np.array_equal(sample.get("lidar_aug", np.eye(4)), np.eye(4)):
            raise UserError(
                f"{option} is set, but sample {sample.token} is augmented; take rotation, scale, translation and flips "
                "out of the pipeline"
            )


def _part(encoder: nn.Module, name: str) -> nn.Module:
    try:
        return encoder.get_submodule(name)
    except AttributeError as error:
        raise UserError(f"trained_parts: the encoder has no part {name!r}, {error}") from error
