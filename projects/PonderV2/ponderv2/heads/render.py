"""The pre-training head: render the volume, compare with pixels and LiDAR returns."""

import torch
from mmengine.model import BaseModule
from torch import Tensor

from ponderv2.encoders.camera import conv3d_block
from ponderv2.registry import MODELS
from ponderv2.rendering import (
    BoxCollider,
    HierarchicalSampler,
    NeuSOpacity,
    RenderOutput,
    SDFField,
    VolumeRenderer,
    color_loss,
    depth_loss,
)
from ponderv2.structures import FeatureVolume, RayBatch


@MODELS.register_module()
class RenderHead(BaseModule):
    """Projection of the volume to few channels, the rendering decoder, and the losses (UniPAD §3.2–3.3).

    Args:
        in_channels: of the volume.
        render_channels: after the projection, published 32.
        hidden_channels: width of the decoder's perceptrons; 16 in the published code, 32 in the paper.
        sdf_layers, color_layers: their depths, published 6 and 4.
        num_proposals, num_important: samples a ray, published 72 + 24.
        single_jitter: see `UniformSampler`.
        near: metres before the first sample.
        color_weight, depth_weight: of the losses, published 10 and 10. A colour weight of 0 builds no colour
            network, and rays then need no colours.
        depth_mode: "reference" compares depth divided by opacity, as published; "opacity_aware" puts what is
            left of a ray at its far end, so that transparent rays are no way out.
        norm_cfg: norm of the projection, in mmcv's terms; published BN3d.
        chunk: rays a camera that are rendered at once outside training.
    """

    def __init__(
        self,
        in_channels: int,
        render_channels: int = 32,
        hidden_channels: int = 16,
        sdf_layers: int = 6,
        color_layers: int = 4,
        num_proposals: int = 72,
        num_important: int = 24,
        single_jitter: bool = True,
        near: float = 1.0,
        color_weight: float = 10.0,
        depth_weight: float = 10.0,
        depth_mode: str = "reference",
        norm_cfg: dict | None = None,
        chunk: int = 512,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if depth_mode not in ("reference", "opacity_aware"):
            raise ValueError(f"depth_mode: expected 'reference' or 'opacity_aware', got {depth_mode!r}")
        self.color_weight, self.depth_weight = color_weight, depth_weight
        self.depth_mode = depth_mode
        self.chunk = chunk
        self.render_conv = conv3d_block(in_channels, render_channels, norm_cfg)
        field = SDFField(
            render_channels,
            hidden_channels,
            geometry_channels=hidden_channels,
            sdf_layers=sdf_layers,
            color_layers=color_layers if color_weight > 0 else 0,
        )
        sampler = HierarchicalSampler(num_proposals, num_important, single_jitter=single_jitter)
        self.renderer = VolumeRenderer(field, NeuSOpacity(), sampler, BoxCollider(near))

    def loss(self, volume: FeatureVolume, rays: RayBatch) -> dict[str, Tensor]:
        """Weighted losses `loss_color`, `loss_depth`, and `opacity`, the mean opacity, to watch.

        Raises:
            ValueError: when colour has a weight and the rays have no colours.
        """
        out = self.render(volume, rays)
        losses = {}
        if self.color_weight > 0:
            if rays.rgb is None:
                raise ValueError(
                    "RenderHead: color_weight > 0 but the rays have no colours; set SampleRays(color=True)"
                )
            losses["loss_color"] = self.color_weight * color_loss(out.rgb, rays.rgb, rays.valid & out.hit)
        if self.depth_weight > 0:
            depth = out.depth if self.depth_mode == "reference" else out.depth_to_far
            losses["loss_depth"] = self.depth_weight * depth_loss(
                depth, rays.depth, rays.has_depth & out.hit, volume.grid.scene_scale
            )
        losses["opacity"] = out.opacity.detach().mean()
        return losses

    def render(self, volume: FeatureVolume, rays: RayBatch) -> RenderOutput:
        """Render all rays at once; fields are shaped `[B, N, R, ...]`."""
        return self._render_projected(volume.with_data(self.render_conv(volume.data)), rays)

    @torch.no_grad()
    def render_chunked(self, volume: FeatureVolume, rays: RayBatch) -> dict[str, Tensor]:
        """Render many rays in bounded memory: `rgb`, `depth`, `opacity`, `hit`, shaped `[B, N, R, ...]`."""
        projected = volume.with_data(self.render_conv(volume.data))
        pieces: dict[str, list[Tensor]] = {}
        for part in rays.split(self.chunk):
            out = self._render_projected(projected, part)
            for name in ("rgb", "depth", "opacity", "hit"):
                if getattr(out, name) is not None:
                    pieces.setdefault(name, []).append(getattr(out, name))
        return {name: torch.cat(parts, dim=2) for name, parts in pieces.items()}

    def _render_projected(self, volume: FeatureVolume, rays: RayBatch) -> RenderOutput:
        # To the renderer a batch of rays is [B, Q]: which camera a ray belongs to does not matter.
        cameras = rays.valid.shape[1:]
        out = self.renderer(volume, rays.origins.flatten(1, 2), rays.directions.flatten(1, 2))
        fields = {name: None if value is None else value.unflatten(1, cameras) for name, value in vars(out).items()}
        return RenderOutput(**fields)
