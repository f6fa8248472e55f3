"""The data preprocessor: it makes one batch of packed samples, on the model's device, normalised and padded."""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.shapes import Float
from ponderv2.structures import CameraRig, FrameQueue, PastBatch, RayBatch, SensorBatch


@MODELS.register_module()
class SensorPreprocessor(BaseDataPreprocessor):
    """Makes a `SensorBatch` of what `PackSensorInputs` packed.

    Images travel as uint8 and are normalised on the device, then padded with zeros at the bottom and the
    right, so that a padded pixel equals the mean colour.

    Args:
        mean: mean of each RGB channel, 0–255; the default is ImageNet's.
        std: standard deviation of each RGB channel, 0–255; the default is ImageNet's.
        pad_divisor: number whose multiples height and width become; 32 makes 900×1600 928×1600.
        non_blocking: True to copy to the device without waiting for it, where the data loader pins its memory.
    """

    def __init__(
        self,
        mean: tuple[float, float, float] = (123.675, 116.28, 103.53),
        std: tuple[float, float, float] = (58.395, 57.12, 57.375),
        pad_divisor: int = 32,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking)
        self.pad_divisor = pad_divisor
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Turn `{inputs: {name: list over samples}, data_samples: list}` into `{inputs: SensorBatch, data_samples}`."""
        inputs = data["inputs"]
        images, rig = None, None
        padded = None
        if "img" in inputs:
            earlier = [frame.images for queue in inputs.get("history", ()) for frame in queue.frames]
            size = self._padded_size([sample.shape[-2:] for sample in (*inputs["img"], *earlier)])
            images = self._normalize(inputs["img"], size)
            padded = tuple(images.shape[-2:])
        if "rig" in inputs:
            padded = padded or self._padded_size([r.padded_size for r in inputs["rig"]])
            rig = CameraRig.stack(inputs["rig"], padded).to(self.device, torch.float32, self._non_blocking)
        points = [self._move(p) for p in inputs["points"]] if "points" in inputs else None
        rays = self._rays(inputs["rays"]) if "rays" in inputs else None
        signals = torch.stack([self._move(s) for s in inputs["can_bus"]]) if "can_bus" in inputs else None
        current = SensorBatch(rig, images, points, rays, can_bus=signals)
        history = self._history(inputs["history"], current) if "history" in inputs else ()
        return {"inputs": replace(current, history=history), "data_samples": data.get("data_samples")}

    def to_rgb(self, images: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b 3 h w"]:
        """Undo the normalisation, to RGB in [0, 1]; padding becomes the mean colour."""
        return ((images * self.std + self.mean) / 255).clamp(0, 1)

    def _normalize(self, samples: list[Tensor], size: tuple[int, int]) -> Float[Tensor, "b n 3 h w"]:
        counts = {s.shape[0] for s in samples}
        if len(counts) > 1:
            raise UserError(f"samples of one batch have different numbers of cameras: {sorted(counts)}")
        height, width = size
        batch = []
        for sample in samples:
            # Samples have the channels of a pixel side by side; the device takes them apart.
            image = self._move(sample).to(torch.float32, memory_format=torch.contiguous_format)
            image = (image - self.mean) / self.std
            batch.append(F.pad(image, (0, width - image.shape[-1], 0, height - image.shape[-2])))
        return torch.stack(batch)

    def _history(self, queues: list[FrameQueue], current: SensorBatch) -> tuple[PastBatch, ...]:
        """Align the queues of the samples at their ends; the current frame stands where a sample has fewer."""
        images, rig, points, signals = current.images, current.rig, current.points, current.can_bus
        if images is None or rig is None:
            raise UserError("history: the batch has no images of the current frame")
        length, size = max(len(queue.frames) for queue in queues), tuple(images.shape[-2:])
        batches = []
        for back in range(length, 0, -1):
            frames = [queue.frames[-back] if len(queue.frames) >= back else None for queue in queues]
            pictures, rigs, motions, clouds = [], [], [], []
            for b, frame in enumerate(frames):
                if points is not None:
                    clouds.append(points[b] if frame is None or frame.points is None else self._move(frame.points))
                if frame is None:
                    pictures.append(images[b])
                    rigs.append(CameraRig.stack([rig.at(b)], size))
                    motions.append(torch.eye(4, device=self.device))
                    continue
                pictures.append(self._normalize([frame.images], size)[0])
                own = CameraRig.stack([frame.rig], size)
                rigs.append(own.to(self.device, torch.float32, self._non_blocking))
                motions.append(self._move(frame.motion.float()))
            together = CameraRig.stack([own.at(0) for own in rigs], size)
            exists = torch.tensor([frame is not None for frame in frames])
            past = PastBatch(torch.stack(pictures), together, torch.stack(motions), self._move(exists))
            if signals is not None:
                known = [now if f is None else self._move(f.can_bus) for f, now in zip(frames, signals, strict=True)]
                past = replace(past, can_bus=torch.stack(known))
            batches.append(past if points is None else replace(past, points=clouds))
        return tuple(batches)

    def _move(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=self._non_blocking)

    def _rays(self, samples: list[RayBatch]) -> RayBatch:
        # Stacked on the device: what is stacked on the host is no longer in pinned memory.
        return RayBatch.stack([rays.to(self.device, self._non_blocking) for rays in samples])

    def _padded_size(self, sizes: list[tuple[int, int]]) -> tuple[int, int]:
        d = self.pad_divisor
        return tuple(math.ceil(max(s[a] for s in sizes) / d) * d for a in range(2))
