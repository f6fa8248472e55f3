"""The pre-training head: it renders the volume and compares the result with pixels and LiDAR returns."""

import torch
from mmengine.model import BaseModule
from torch import Tensor

from ponderv2.encoders.blocks import conv3d_block
from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.rendering import (
    BoxCollider,
    HierarchicalSampler,
    NeuSOpacity,
    RenderingObjective,
    RenderOutput,
    SDFField,
    VolumeRenderer,
)
from ponderv2.shapes import Float
from ponderv2.structures import FeatureVolume, RayBatch

from .rendered_classes import RenderedClasses
from .rendered_intensity import RenderedIntensity


@MODELS.register_module()
class RenderHead(BaseModule):
    """Projects the volume to few channels, renders it, and computes the losses (UniPAD §3.2–3.3).

    Args:
        in_channels: channels of the volume.
        render_channels: channels after the projection, published 32.
        hidden_channels: width of the decoder's perceptrons; 16 in the published code, 32 in the paper.
        sdf_layers: layers of the signed-distance network, published 6.
        color_layers: layers of the colour network, published 4.
        opacity: `NeuSOpacity` (published, and used when no type is given), `VolSDFOpacity` or `UniSurfOpacity`, and its
            arguments. For converted weights it is `dict(eps=1e-5)`.
        sampler: any sampler of `ponderv2.rendering` and its arguments; published 72 + 24 hierarchical, which it is when
            no type is given. For converted weights it is `dict(placement="published")`.
        collider: `BoxCollider` (published) or `NearFarCollider` and its arguments.
        objective: name of a preset of `RenderingObjective`, or its attributes, with the preset that they change under
            "preset" ("reference" unless given). A colour weight of 0 builds no colour network, and rays then
            need no colours. Likewise for the weights of `semantic` and `intensity`, which are 0 in every preset.
        semantic: arguments of `RenderedClasses` but for `in_channels`: the classes, and the text model if there is one.
        semantic_layers: layers of the semantic network before that of `RenderedClasses` or `RenderedIntensity`, which
            share it; published 3.
        norm_cfg: norm of the projection, in mmcv's terms; published BN3d.
        chunk_size: number of rays of a camera that are rendered at once outside training.

    Raises:
        UserError: `semantic` has a weight, and no classes are given.
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
        semantic: dict | None = None,
        semantic_layers: int = 3,
        norm_cfg: dict | None = None,
        chunk_size: int = 512,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        changes = {"preset": objective} if isinstance(objective, str) else {"preset": "reference"} | objective
        self.objective = RenderingObjective.preset(changes.pop("preset"), **changes)
        self.chunk_size = chunk_size
        self.render_conv = conv3d_block(in_channels, render_channels, norm_cfg)
        field = SDFField(
            render_channels,
            hidden_channels,
            geometry_channels=hidden_channels,
            sdf_layers=sdf_layers,
            color_layers=color_layers if self.objective.color > 0 else 0,
            semantic_layers=semantic_layers if self.objective.needs_semantic_features else 0,
        )
        self.classes = None
        if self.objective.semantic > 0:
            if semantic is None:
                raise UserError(
                    "RenderHead: objective.semantic has a weight, but there are no classes to render: give "
                    "semantic=dict(classes=...)"
                )
            self.classes = RenderedClasses(hidden_channels, **semantic)
        self.intensity = RenderedIntensity(hidden_channels) if self.objective.intensity > 0 else None
        self.renderer = VolumeRenderer(
            field,
            opacity=MODELS.build(dict(type=NeuSOpacity) | (opacity or {})),
            sampler=MODELS.build(dict(type=HierarchicalSampler) | (sampler or {})),
            collider=MODELS.build(collider or dict(type=BoxCollider)),
        )

    def project(self, volume: FeatureVolume) -> FeatureVolume:
        """Project the volume to the channels of the decoder, in which `renderer` reads it."""
        return volume.with_data(self.render_conv(volume.data))

    def loss(self, volume: FeatureVolume, rays: RayBatch) -> dict[str, Tensor]:
        """Compute the weighted losses `loss_...` of the objective, and `opacity`, the mean opacity, to watch.

        Args:
            volume: what the encoder has computed.
            rays: rays with their measurements, `[B, N, R]`.

        Raises:
            ValueError: when colour has a weight and the rays have no colours, `semantic` and they have no classes, or
                `intensity` and they have no intensities.
        """
        projected, rays = self.project(volume), rays.flatten_cameras()
        out = self.renderer(projected, rays.origins, rays.directions)
        sdf_at_return = log_free = log_occupied_at_return = None
        if self.objective.needs_sdf_at_return:
            sdf_at_return = self.renderer.sdf_along(projected, rays.origins, rays.directions, rays.depth)
        if self.objective.needs_occupancy:
            _, log_free = self.renderer.opacity.log_occupancy(out.sdf)
            log_occupied_at_return, _ = self.renderer.opacity.log_occupancy(sdf_at_return)
        scene_scale = volume.grid.scene_scale
        losses = self.objective(
            out,
            rays,
            scene_scale,
            sdf_at_return,
            log_free,
            log_occupied_at_return,
            class_logits=self.class_logits(out),
            intensity=self.return_intensity(out),
        )
        return losses | {"opacity": out.opacity.detach().mean()}

    def class_logits(self, output: RenderOutput) -> Float[Tensor, "*r k"] | None:
        """Return the logits of the classes of rendered rays; None where no classes are rendered."""
        return None if self.classes is None else self.classes(output.semantic, output.opacity)

    def return_intensity(self, output: RenderOutput) -> Float[Tensor, "*r"] | None:
        """Return the intensities of the returns of rendered rays; None where they are not rendered."""
        return None if self.intensity is None else self.intensity(output.semantic, output.opacity)

    def render(self, volume: FeatureVolume, rays: RayBatch) -> RenderOutput:
        """Render all rays `[B, N, R]` at once; the fields of the output are shaped `[B, N, R, ...]`."""
        out = self._render_projected(self.project(volume), rays)
        cameras = rays.valid.shape[1:]
        return RenderOutput(
            **{name: None if value is None else value.unflatten(1, cameras) for name, value in vars(out).items()}
        )

    @torch.no_grad()
    def render_chunked(self, volume: FeatureVolume, rays: RayBatch) -> dict[str, Tensor]:
        """Render many rays in bounded memory.

        Returns:
            `rgb` (where there is a colour network), `depth`, `opacity`, `hit`, and where they are rendered
            `class_logits` and `intensity`, shaped `[B, N, R, ...]`.
        """
        projected = self.project(volume)
        chunks: dict[str, list[Tensor]] = {}
        for chunk in rays.split(self.chunk_size):
            out = self._render_projected(projected, chunk)
            values = {name: getattr(out, name) for name in ("rgb", "depth", "opacity", "hit")}
            values |= {"class_logits": self.class_logits(out), "intensity": self.return_intensity(out)}
            for name, value in values.items():
                if value is not None:
                    chunks.setdefault(name, []).append(value.unflatten(1, chunk.valid.shape[1:]))
        return {name: torch.cat(parts, dim=2) for name, parts in chunks.items()}

    def _render_projected(self, projected: FeatureVolume, rays: RayBatch) -> RenderOutput:
        # Which camera a ray belongs to does not matter to the renderer.
        flat = rays.flatten_cameras()
        return self.renderer(projected, flat.origins, flat.directions)
