"""Pre-training: hide a part of the input, encode, render, compare."""

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from ponderv2.geometry import rays_through_pixels
from ponderv2.masking import InputMasking
from ponderv2.registry import MODELS
from ponderv2.structures import CameraRig, FeatureVolume, RayBatch, SensorBatch


@MODELS.register_module()
class RenderingPretrainer(BaseModel):
    """An encoder that learns by rendering its volume (UniPAD; PonderV2).

    Args:
        encoder: sensors to a `FeatureVolume`.
        head: a `RenderHead`.
        masking: arguments of `InputMasking`; None hides nothing.
        mask_in_eval: hide the input also outside training.
        image_stride: prediction also renders every pixel of a lattice of this many pixels, for whole-image
            metrics; None renders only the given rays.
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
        """`loss`: losses by name; `predict`: a result a sample; `tensor`: the feature volume."""
        if mode == "tensor":
            return self.encode(inputs)
        if mode == "loss":
            return self.loss(inputs)
        if mode == "predict":
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode: expected 'tensor', 'loss' or 'predict', got {mode!r}")

    def encode(self, inputs: SensorBatch) -> FeatureVolume:
        """The feature volume, of masked input in training and of the whole input otherwise."""
        masked = self.training or self.mask_in_eval
        return self.encoder(inputs, self.masking if masked else None)

    def loss(self, inputs: SensorBatch) -> dict[str, Tensor]:
        """Losses of rendering the rays of the batch, and those of the encoder itself."""
        volume = self.encode(inputs)
        return self.head.loss(volume, _rays(inputs)) | volume.losses

    @torch.no_grad()
    def predict(
        self, inputs: SensorBatch, data_samples: list | None = None, volume: FeatureVolume | None = None
    ) -> list[BaseDataElement]:
        """Rendered rays of each sample beside their targets, and whole images with `image_stride`.

        Fields, all `[N, R, ...]`: `rgb`, `depth`, `opacity`, `target_rgb`, `target_depth`, `valid`; with whole
        images `image`, `target_image` `[N, h, w, 3]` and `image_depth` `[N, h, w]`. Depths in metres. `volume`
        is that of the batch, where it is known already.
        """
        volume = self.encode(inputs) if volume is None else volume
        rays = _rays(inputs)
        rendered = self.head.render_chunked(volume, rays)
        fields = {
            "depth": rendered["depth"],
            "opacity": rendered["opacity"],
            "target_depth": rays.depth,
            "valid": rays.valid & rendered["hit"],
        }
        if "rgb" in rendered and rays.rgb is not None:
            fields |= {"rgb": rendered["rgb"], "target_rgb": rays.rgb}
        if self.image_stride is not None:
            fields |= self.render_images(inputs, self.image_stride, volume)
        return [
            BaseDataElement(
                metainfo=data_samples[b].metainfo if data_samples else {},
                **{name: value[b].cpu() for name, value in fields.items()},
            )
            for b in range(inputs.batch_size)
        ]

    @torch.no_grad()
    def render_images(self, inputs: SensorBatch, stride: int, volume: FeatureVolume | None = None) -> dict[str, Tensor]:
        """Every camera's picture on a pixel lattice.

        Returns:
            `image_depth`, `image_opacity` `[B, N, h, w]` in metres and [0, 1]; `image` and `target_image`
            `[B, N, h, w, 3]` when there is a colour network and images were loaded.

        Raises:
            ValueError: when the batch has no cameras.
        """
        if inputs.rig is None:
            raise ValueError("RenderingPretrainer: the batch has no cameras to draw images for; leave out image_stride")
        volume = self.encode(inputs) if volume is None else volume
        rays, (height, width) = lattice_rays(inputs.rig, stride)
        rendered = self.head.render_chunked(volume, rays)
        fields = {
            "image_depth": rendered["depth"].unflatten(2, (height, width)),
            "image_opacity": rendered["opacity"].unflatten(2, (height, width)),
        }
        if "rgb" in rendered and inputs.images is not None:
            fields["image"] = rendered["rgb"].unflatten(2, (height, width))
            target = self.data_preprocessor.to_rgb(inputs.images)
            rows, columns = rays.pixels[0, 0, :, 1].long(), rays.pixels[0, 0, :, 0].long()
            fields["target_image"] = target[:, :, :, rows, columns].permute(0, 1, 3, 2).unflatten(2, (height, width))
        return fields


def lattice_rays(rig: CameraRig, stride: int) -> tuple[RayBatch, tuple[int, int]]:
    """Rays through the pixels (stride // 2 + k * stride) of all cameras, and the (height, width) of the lattice.

    The lattice covers the largest image of the batch; pixels beyond a smaller one are not valid.
    """
    device = rig.lidar2img.device
    height, width = (int(v) for v in rig.image_size.flatten(0, -2).amax(dim=0))
    v = torch.arange(stride // 2, height, stride, device=device)
    u = torch.arange(stride // 2, width, stride, device=device)
    grid = torch.stack(torch.meshgrid(v, u, indexing="ij"), dim=-1).flip(-1).reshape(-1, 2)
    pixels = grid.to(rig.lidar2img.dtype).expand(*rig.lidar2img.shape[:2], -1, 2)
    origins, directions = rays_through_pixels(pixels, rig.img2lidar)
    inside = (pixels < rig.image_size.flip(-1)[:, :, None]).all(dim=-1)
    rays = RayBatch(origins, directions, inside, torch.zeros_like(pixels[..., 0]), pixels)
    return rays, (len(v), len(u))


def _rays(inputs: SensorBatch) -> RayBatch:
    if inputs.rays is None:
        raise ValueError(
            "RenderingPretrainer: the batch has no rays; does the pipeline end in SampleRays, PackSensorInputs?"
        )
    return inputs.rays
