"""The pre-training head: render the volume, compare with pixels and LiDAR returns."""

import torch
from mmengine.model import BaseModule
from torch import Tensor

from ponderv2.encoders.camera_encoder import conv3d_block
from ponderv2.registry import MODELS
from ponderv2.rendering import (
    BoxCollider,
    HierarchicalSampler,
    NeuSOpacity,
    RayTargets,
    RenderingObjective,
    RenderOutput,
    SDFField,
    VolumeRenderer,
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
        opacity: `NeuSOpacity` (published), `VolSDFOpacity` or `UniSurfOpacity` and its arguments.
        sampler: any sampler of `ponderv2.rendering` and its arguments; published 72 + 24 hierarchical.
        collider: `BoxCollider` (published) or `NearFarCollider` and its arguments.
        objective: name of a preset of `RenderingObjective`, or its attributes, with the preset they change under
            "preset" ("reference" unless said). A colour weight of 0 builds no colour network, and rays then
            need no colours.
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
        opacity: dict | None = None,
        sampler: dict | None = None,
        collider: dict | None = None,
        objective: str | dict = "reference",
        norm_cfg: dict | None = None,
        chunk: int = 512,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        changes = {"preset": objective} if isinstance(objective, str) else {"preset": "reference"} | objective
        self.objective = RenderingObjective.preset(changes.pop("preset"), **changes)
        self.chunk = chunk
        self.render_conv = conv3d_block(in_channels, render_channels, norm_cfg)
        field = SDFField(
            render_channels,
            hidden_channels,
            geometry_channels=hidden_channels,
            sdf_layers=sdf_layers,
            color_layers=color_layers if self.objective.color > 0 else 0,
        )
        self.renderer = VolumeRenderer(
            field,
            opacity=MODELS.build(opacity or dict(type=NeuSOpacity)),
            sampler=MODELS.build(sampler or dict(type=HierarchicalSampler)),
            collider=MODELS.build(collider or dict(type=BoxCollider)),
        )

    def project(self, volume: FeatureVolume) -> FeatureVolume:
        """The volume in the decoder's channels: what `renderer` reads."""
        return volume.with_data(self.render_conv(volume.data))

    def loss(self, volume: FeatureVolume, rays: RayBatch) -> dict[str, Tensor]:
        """Weighted losses `loss_...` of the objective, and `opacity`, the mean opacity, to watch.

        Raises:
            ValueError: when colour has a weight and the rays have no colours.
        """
        projected = self.project(volume)
        out = self._render_projected(projected, rays)
        targets = RayTargets(
            rays.depth.flatten(1, 2),
            rays.has_depth.flatten(1, 2),
            rays.valid.flatten(1, 2),
            None if rays.rgb is None else rays.rgb.flatten(1, 2),
        )
        return self.objective(out, targets, self.renderer, projected) | {"opacity": out.opacity.detach().mean()}

    def render(self, volume: FeatureVolume, rays: RayBatch) -> RenderOutput:
        """Render all rays at once; fields are shaped `[B, N, R, ...]`."""
        out = self._render_projected(self.project(volume), rays)
        cameras = rays.valid.shape[1:]
        return RenderOutput(
            **{name: None if value is None else value.unflatten(1, cameras) for name, value in vars(out).items()}
        )

    @torch.no_grad()
    def render_chunked(self, volume: FeatureVolume, rays: RayBatch) -> dict[str, Tensor]:
        """Render many rays in bounded memory: `rgb`, `depth`, `opacity`, `hit`, shaped `[B, N, R, ...]`."""
        projected = self.project(volume)
        pieces: dict[str, list[Tensor]] = {}
        for part in rays.split(self.chunk):
            out = self._render_projected(projected, part)
            for name in ("rgb", "depth", "opacity", "hit"):
                value = getattr(out, name)
                if value is not None:
                    pieces.setdefault(name, []).append(value.unflatten(1, part.valid.shape[1:]))
        return {name: torch.cat(parts, dim=2) for name, parts in pieces.items()}

    def _render_projected(self, volume: FeatureVolume, rays: RayBatch) -> RenderOutput:
        # To the renderer a batch of rays is [B, Q]: which camera a ray belongs to does not matter.
        return self.renderer(volume, rays.origins.flatten(1, 2), rays.directions.flatten(1, 2))
