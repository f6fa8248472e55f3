"""Pre-training: a part of the input is hidden, the rest is encoded, rendered and compared with what was measured."""

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.geometry import lattice_rays
from ponderv2.masking import InputMasking
from ponderv2.registry import MODELS
from ponderv2.shapes import Float
from ponderv2.structures import EncoderOutput, FeatureVolume, RayBatch, SensorBatch


@MODELS.register_module()
class RenderingPretrainer(BaseModel):
    """An encoder that learns by rendering its volume (UniPAD; PonderV2).

    Args:
        encoder: config of an encoder, such as `CameraEncoder`.
        head: config of a `RenderHead`.
        masking: arguments of `InputMasking`; None hides nothing.
        mask_in_eval: True to hide the input also outside training.
        image_stride: distance, in pixels, of the lattice on which prediction also renders whole images, for metrics of
            images; None renders only the given rays.
    """

    def __init__(
        self,
        encoder: dict,
        head: dict,
        masking: dict | None = None,
        mask_in_eval: bool = False,
        image_stride: int | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.encoder = MODELS.build(encoder)
        self.head = MODELS.build(head)
        self.masking = None if masking is None else InputMasking(**masking)
        self.mask_in_eval = mask_in_eval
        self.image_stride = image_stride

    def forward(
        self, inputs: SensorBatch, data_samples: list | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | list[BaseDataElement] | FeatureVolume:
        """Run the model in one of mmengine's modes.

        Args:
            inputs: the batch.
            data_samples: the samples of the batch; predictions get their metainfo.
            mode: "loss" gives losses by name, "predict" a result for each sample, "tensor" the feature volume.

        Raises:
            ValueError: for another mode.
        """
        if mode == "tensor":
            return self.encode(inputs)
        if mode == "loss":
            return self.loss(inputs, data_samples)
        if mode == "predict":
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode: expected 'tensor', 'loss' or 'predict', got {mode!r}")

    def encode(self, inputs: SensorBatch) -> FeatureVolume:
        """Encode the masked input in training, and the whole input otherwise."""
        return self._encode(inputs).volume

    def loss(self, inputs: SensorBatch, data_samples: list | None = None) -> dict[str, Tensor]:
        """Compute the losses of rendering the rays of the batch, and those by which the encoder supervises itself."""
        encoded = self._encode(inputs)
        return self.head.loss(encoded.volume, rays_of(inputs)) | encoded.losses

    def _encode(self, inputs: SensorBatch) -> EncoderOutput:
        masked = self.training or self.mask_in_eval
        return self.encoder(inputs, self.masking if masked else None)

    @torch.no_grad()
    def predict(
        self, inputs: SensorBatch, data_samples: list | None = None, volume: FeatureVolume | None = None
    ) -> list[BaseDataElement]:
        """Render the rays of each sample, and with `image_stride` whole images.

        Args:
            inputs: the batch.
            data_samples: the samples of the batch, whose metainfo the results carry on.
            volume: feature volume of the batch, if it is known already.

        Returns:
            An element for each sample with the fields `rgb`, `depth`, `opacity`, `target_rgb`, `target_depth` and
            `valid`, all `[N, R, ...]`; where classes are rendered also `class_logits` `[N, R, K]` and, where rays have
            classes, `target_semantic`; likewise `intensity` and `target_intensity`. With whole images also `image`,
            `target_image` `[N, h, w, 3]`, `image_depth` and, where classes are rendered, `image_class` `[N, h, w]`.
            Depths are metres.
        """
        volume = self.encode(inputs) if volume is None else volume
        rays = rays_of(inputs)
        rendered = self.head.render_chunked(volume, rays)
        fields = {
            "depth": rendered["depth"],
            "opacity": rendered["opacity"],
            "target_depth": rays.depth,
            "valid": rays.valid & rendered["hit"],
        }
        if "rgb" in rendered and rays.rgb is not None:
            fields |= {"rgb": rendered["rgb"], "target_rgb": rays.rgb}
        if "class_logits" in rendered and rays.semantic is not None:
            fields |= {"class_logits": rendered["class_logits"], "target_semantic": rays.semantic}
        if "intensity" in rendered and rays.intensity is not None:
            fields |= {"intensity": rendered["intensity"], "target_intensity": rays.intensity}
        fields |= self.further_fields(inputs, data_samples, rays, rendered)
        if self.image_stride is not None:
            fields |= self.render_images(inputs, self.image_stride, volume)
        return [
            BaseDataElement(
                metainfo=data_samples[b].metainfo if data_samples else {},
                **{name: value[b].cpu() for name, value in fields.items()},
            )
            for b in range(inputs.batch_size)
        ]

    def further_fields(
        self, inputs: SensorBatch, data_samples: list | None, rays: RayBatch, rendered: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return what predictions have beside what is rendered in every model, `[B, ...]` each: nothing here."""
        return {}

    @torch.no_grad()
    def render_images(self, inputs: SensorBatch, stride: int, volume: FeatureVolume | None = None) -> dict[str, Tensor]:
        """Render the picture of every camera on a lattice of pixels.

        Args:
            inputs: the batch.
            stride: distance of the lattice, pixels.
            volume: feature volume of the batch, if it is known already.

        Returns:
            `image_depth`, `image_opacity` `[B, N, h, w]` in metres and [0, 1]; `image` and `target_image`
            `[B, N, h, w, 3]` when there is a colour network and images were loaded; `image_class` `[B, N, h, w]` where
            classes are rendered; and what `further_images` adds.

        Raises:
            UserError: when the batch has no cameras, or the lattice is wider than an image.
        """
        if inputs.rig is None:
            raise UserError("RenderingPretrainer: the batch has no cameras to draw images for; leave out image_stride")
        smallest = int(inputs.rig.image_size.min())
        if stride > smallest:
            raise UserError(
                f"stride: expected at most {smallest}, the pixels of the shorter side of an image, got {stride}"
            )
        volume = self.encode(inputs) if volume is None else volume
        rays, (height, width) = lattice_rays(inputs.rig, stride)
        rendered = self.head.render_chunked(volume, rays)
        fields = {
            "image_depth": rendered["depth"].unflatten(2, (height, width)),
            "image_opacity": rendered["opacity"].unflatten(2, (height, width)),
        }
        if "class_logits" in rendered:
            fields["image_class"] = rendered["class_logits"].argmax(dim=-1).unflatten(2, (height, width))
        if "rgb" in rendered and inputs.images is not None:
            fields["image"] = rendered["rgb"].unflatten(2, (height, width))
            target = self.data_preprocessor.to_rgb(inputs.images)
            rows, columns = rays.pixels[0, 0, :, 1].long(), rays.pixels[0, 0, :, 0].long()
            fields["target_image"] = target[:, :, :, rows, columns].permute(0, 1, 3, 2).unflatten(2, (height, width))
        further = self.further_images(inputs, rays, rendered)
        return fields | {name: value.unflatten(2, (height, width)) for name, value in further.items()}

    def further_images(
        self, inputs: SensorBatch, rays: RayBatch, rendered: dict[str, Tensor]
    ) -> dict[str, Float[Tensor, "b n r 3"]]:
        """Return pictures that not every model renders, RGB in [0, 1] of the rays of a lattice: none here."""
        return {}


def rays_of(inputs: SensorBatch) -> RayBatch:
    """Return the rays of a batch.

    Raises:
        UserError: it has none.
    """
    if inputs.rays is None:
        raise UserError(
            "RenderingPretrainer: the batch has no rays; does the pipeline sample rays before PackSensorInputs?"
        )
    return inputs.rays
