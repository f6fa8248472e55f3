"""The rendering decoder as one module: it renders rays through a feature volume to colour and depth."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ponderv2.shapes import Float
from ponderv2.structures import FeatureVolume

from .colliders import BoxCollider, NearFarCollider
from .compositing import RenderOutput, composite, render_values, transmittance_weights
from .samplers import RaySamples


class VolumeRenderer(nn.Module):
    """Renders rays through a feature volume with a signed-distance field.

    Inside, lengths are scene units: metres × `VoxelGrid.scene_scale`, isotropic, so the field sees numbers
    of order one at any range. Everything runs in float32 whatever autocast is on around it, the proposals by which the
    sampler chooses its samples included; but in bfloat16, whose range is that of float32, autocast holds for colours
    and semantic features, on which no depth hangs. All rays of all cameras and samples are one program.

    Args:
        field: signed distance, normal, colour and semantic features of points; it is called, and asked for `sdf`, as
            `SDFField` is.
        opacity: opacity model; it is called as `NeuSOpacity` is.
        sampler: chooses the samples along a ray; it is called as `HierarchicalSampler` is.
        collider: chooses the part of a ray that is sampled; `BoxCollider()` unless given.
        features_shape_geometry: whether the gradient of rendered features reaches the opacity by way of the rendering
            weights; colors and semantic features always have it.
    """

    def __init__(
        self,
        field: nn.Module,
        opacity: nn.Module,
        sampler: Callable[..., RaySamples],
        collider: BoxCollider | NearFarCollider | None = None,
        features_shape_geometry: bool = False,
    ) -> None:
        super().__init__()
        self.features_shape_geometry = features_shape_geometry
        self.field = field
        self.opacity = opacity
        self.sampler = sampler
        self.collider = collider or BoxCollider()

    def forward(
        self,
        volume: FeatureVolume,
        origins: Float[Tensor, "b q 3"],
        directions: Float[Tensor, "b q 3"],
        generator: torch.Generator | None = None,
    ) -> RenderOutput:
        """Render rays. In training mode the samples are jittered.

        Args:
            volume: features, in the channels of the field.
            origins: start points of the rays, metres.
            directions: unit vectors.
            generator: source of the jitter's randomness; None is torch's default one.
        """
        device = origins.device.type
        low = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16
        with torch.autocast(device, enabled=False):
            volume = volume.with_data(volume.data.float())
            return self._render(volume, origins.float(), directions.float(), generator, low)

    def sdf_along(
        self,
        volume: FeatureVolume,
        origins: Float[Tensor, "b q 3"],
        directions: Float[Tensor, "b q 3"],
        distance: Float[Tensor, "b q"],
    ) -> Float[Tensor, "b q"]:
        """Compute the signed distance (scene units) at one distance (metres) along each ray."""
        with torch.autocast(device_type=origins.device.type, enabled=False):
            points = origins.float() + directions.float() * distance.float()[..., None]
            return self.field.sdf(volume.with_data(volume.data.float()), points)

    def _render(
        self, volume: FeatureVolume, origins: Tensor, directions: Tensor, generator: torch.Generator | None, low: bool
    ) -> RenderOutput:
        scale = volume.grid.scene_scale
        near, far, hit = self.collider(origins, directions, volume.grid.point_cloud_range)
        frozen = volume.with_data(volume.data.detach())

        def sdf_along_rays(t: Tensor) -> Tensor:
            points = _points(origins, directions, t / scale)
            return self.field.sdf(frozen, points).reshape(t.shape)

        samples = self.sampler(near * scale, far * scale, sdf_along_rays, self.training, generator, self.opacity)
        shape = samples.t.shape
        points = _points(origins, directions, samples.t / scale)
        view_directions = directions[:, :, None].expand(*shape, 3).reshape(shape[0], -1, 3)
        with torch.autocast(points.device.type, torch.bfloat16, enabled=low):
            out = self.field(volume, points, view_directions)
        sdf, normal = out.sdf.reshape(shape), out.normal.reshape(*shape, 3)
        log_transparency = self.opacity(sdf, normal, directions, samples.delta)
        weights = transmittance_weights(log_transparency)
        t = samples.t / scale
        rgb = None if out.rgb is None else out.rgb.reshape(*shape, 3)
        color, depth, opacity, depth_to_far = composite(weights, t, far, rgb)
        semantic = None if out.semantic is None else render_values(weights, out.semantic.unflatten(1, shape[1:]))
        features = None
        if out.features is not None:
            fixed = weights if self.features_shape_geometry else weights.detach()
            features = render_values(fixed, out.features.unflatten(1, shape[1:]))
        return RenderOutput(color, depth, opacity, depth_to_far, hit, weights, sdf, normal, t, semantic, features)


def _points(
    origins: Float[Tensor, "b q 3"], directions: Float[Tensor, "b q 3"], t: Float[Tensor, "b q s"]
) -> Float[Tensor, "b p 3"]:
    points = origins[:, :, None] + directions[:, :, None] * t[..., None]
    return points.reshape(points.shape[0], -1, 3)
