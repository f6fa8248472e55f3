"""Detection frame by frame: the volume of the frame before is kept and read by the next one (BEVFormer §3.5)."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from mmdet3d.structures import Det3DDataSample

from ponderv2.errors import UserError
from ponderv2.geometry import frame_motion, move_volume, signals_since
from ponderv2.registry import MODELS
from ponderv2.structures import FeatureVolume, PastVolume, SensorBatch

from .volume_detector import VolumeDetector

_NEEDED = ("scene_token", "timestamp", "lidar2global")


@dataclass(frozen=True)
class _LastFrame:
    """What is kept of a frame until the next one of its scene comes."""

    volume: FeatureVolume
    timestamp: float
    lidar2global: np.ndarray
    lidar_aug: np.ndarray
    can_bus: np.ndarray | None


@MODELS.register_module()
class TemporalDetector(VolumeDetector):
    """A detector whose encoder reads the volume of the frame before.

    In training earlier frames come with the sample, as the `history` of the data set. In prediction samples come in the
    order of time, and the volume of the last one is kept, which is nearly free and reaches back to the start of the
    scene. It is read by a later frame of the same scene alone; another scene, or a frame that is not later, starts
    anew, and so does training. Frames of a batch are predicted one after another. So predictions depend neither on the
    batch size nor on the number of processes, if a process has whole scenes (`SceneSampler`). Passes of test-time
    augmentation have a volume each. Samples that bring a history of their own use that one.

    Args are those of `VolumeDetector`.

    Raises:
        UserError: when the encoder does not read a history; or, in prediction, when a sample lacks its scene, time,
            pose or, with signals of the CAN bus, what they were made of.
    """

    def __init__(
        self,
        encoder: dict,
        head: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        freeze_encoder: bool = False,
    ) -> None:
        super().__init__(encoder, head, data_preprocessor, init_cfg, freeze_encoder)
        if not getattr(self.encoder, "reads_history", False):
            raise UserError(
                "TemporalDetector: the encoder reads no history; expected a CameraEncoder whose lift has history=True"
            )
        self._scene = ""
        self._last: dict[bytes, _LastFrame] = {}

    def train(self, mode: bool = True) -> "TemporalDetector":
        """Set the mode, and forget the last frame: weights may change before the next one."""
        self.forget()
        return super().train(mode)

    def forget(self) -> None:
        """Start anew with the next frame."""
        self._scene, self._last = "", {}

    @torch.no_grad()
    def predict(self, inputs: SensorBatch, data_samples: list[Det3DDataSample]) -> list[Det3DDataSample]:
        """Return the samples with `pred_instances_3d`, whose boxes are in the augmented LiDAR frame."""
        if inputs.history:
            return super().predict(inputs, data_samples)
        for index, sample in enumerate(data_samples):
            volume = self._encode_next(inputs.sample(index), sample)
            (sample.pred_instances_3d,) = self.head.predict(volume)
        return data_samples

    def _encode_next(self, inputs: SensorBatch, sample: Det3DDataSample) -> FeatureVolume:
        needed = _NEEDED if inputs.can_bus is None else (*_NEEDED, "can_bus_signals")
        missing = [key for key in needed if key not in sample]
        if missing:
            raise UserError(
                f"TemporalDetector: sample {sample.get('token')} has no {missing}; it needs scene_token, ego2global "
                "and lidar_points.lidar2ego in the info file, and the keys among the meta_keys of PackSensorInputs"
            )
        if sample.scene_token != self._scene:
            self.forget()
            self._scene = sample.scene_token
        aug = np.asarray(sample.get("lidar_aug", np.eye(4)), dtype=np.float64)
        # Passes of test-time augmentation are told apart by theirs.
        last, past = self._last.get(aug.tobytes()), None
        if last is not None and last.timestamp < sample.timestamp:
            poses = (last.lidar2global, sample.lidar2global, last.lidar_aug, aug)
            motion = frame_motion(*map(torch.as_tensor, poses))
            exists = torch.ones(1, dtype=torch.bool, device=last.volume.data.device)
            past = PastVolume(move_volume(last.volume, motion[None]), exists)
            if inputs.can_bus is not None:
                signals = signals_since(sample.can_bus_signals, last.can_bus)[None]
                inputs = replace(inputs, can_bus=signals.to(inputs.can_bus))
        volume = self.encoder(inputs, past=past).volume
        signals = sample.get("can_bus_signals")
        self._last[aug.tobytes()] = _LastFrame(volume, sample.timestamp, sample.lidar2global, aug, signals)
        return volume
