"""Which losses count how much: the published weights and named presets."""

from dataclasses import dataclass, fields, replace

from torch import Tensor, nn

from ponderv2.shapes import Bool, Float
from ponderv2.structures import FeatureVolume

from .compositing import RenderOutput
from .losses import (
    COLOR_DIFFERENCES,
    color_loss,
    depth_loss,
    eikonal_loss,
    free_space_loss,
    occupancy_loss,
    sdf_loss,
    surface_loss,
)


@dataclass(frozen=True)
class RayTargets:
    """What rays should see; shapes `[B, Q]` as the rays were rendered.

    Attributes:
        depth: measured distance, metres.
        has_depth: rays with a measured distance.
        valid: rays that count at all.
        rgb: colour in [0, 1], or None.
    """

    depth: Float[Tensor, "b q"]
    has_depth: Bool[Tensor, "b q"]
    valid: Bool[Tensor, "b q"]
    rgb: Float[Tensor, "b q 3"] | None = None


@dataclass(frozen=True)
class RenderingObjective:
    """Weights of the losses; 0 leaves a loss, and what only it needs, out. The default is UniPAD's.

    Attributes:
        color, depth, free_space, sdf, eikonal, surface, occupancy: weights, see `losses`.
        color_mode: "l1" as published; "l2" for the mean square, with a weight some six times as large: at a
            difference of 0.08 the two then pull alike.
        depth_mode: "reference" compares depth divided by opacity, as published; "opacity_aware" puts what is
            left of a ray at its far end, so that transparent rays are no way out.
        truncation: metres; the band of `sdf`, the margin of `free_space` and `occupancy`. A metre is about
            the distance between samples of a 54 m ray, as PonderV2's 5 cm is indoors.
    """

    color: float = 10.0
    depth: float = 10.0
    free_space: float = 0.0
    sdf: float = 0.0
    eikonal: float = 0.0
    surface: float = 0.0
    occupancy: float = 0.0
    color_mode: str = "l1"
    depth_mode: str = "reference"
    truncation: float = 1.0

    def __post_init__(self) -> None:
        for name, known in (("color_mode", tuple(COLOR_DIFFERENCES)), ("depth_mode", ("reference", "opacity_aware"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {known}, got {getattr(self, name)!r}")
        if self.truncation <= 0:
            raise ValueError(f"truncation: expected metres above 0, got {self.truncation}")

    @staticmethod
    def preset(name: str, **changes: float | str) -> "RenderingObjective":
        """A named preset of `PRESETS`, with some attributes changed.

        Raises:
            ValueError: for an unknown preset or attribute.
        """
        if name not in PRESETS:
            raise ValueError(f"objective: expected one of {sorted(PRESETS)}, got {name!r}")
        known = [field.name for field in fields(RenderingObjective)]
        for change in changes:
            if change not in known:
                raise ValueError(f"objective: {change!r} is none of {known}")
        return replace(PRESETS[name], **changes)

    def __call__(
        self, output: RenderOutput, targets: RayTargets, renderer: nn.Module, volume: FeatureVolume
    ) -> dict[str, Tensor]:
        """Weighted losses by name, `loss_...`, of rays as `renderer` gave them for `volume`.

        Raises:
            ValueError: when colour has a weight and the rays have no colours.
        """
        scale = volume.grid.scene_scale
        valid, measured = targets.valid & output.hit, targets.has_depth & output.hit
        t, depth, truncation = output.t * scale, targets.depth * scale, self.truncation * scale
        losses = {}
        if self.color > 0:
            if targets.rgb is None or output.rgb is None:
                raise ValueError("color > 0 but the rays have no colours; set SampleRays(color=True)")
            losses["loss_color"] = self.color * color_loss(output.rgb, targets.rgb, valid, self.color_mode)
        if self.depth > 0:
            rendered = output.depth if self.depth_mode == "reference" else output.depth_to_far
            losses["loss_depth"] = self.depth * depth_loss(rendered, targets.depth, measured, scale)
        if self.free_space > 0:
            losses["loss_free_space"] = self.free_space * free_space_loss(output.sdf, t, depth, measured, truncation)
        if self.sdf > 0:
            losses["loss_sdf"] = self.sdf * sdf_loss(output.sdf, t, depth, measured, truncation)
        if self.eikonal > 0:
            losses["loss_eikonal"] = self.eikonal * eikonal_loss(output.normal, valid)
        if self.surface > 0 or self.occupancy > 0:
            at_return = renderer.sdf_along(volume, output.origins, output.directions, targets.depth)
            if self.surface > 0:
                losses["loss_surface"] = self.surface * surface_loss(at_return, measured)
            if self.occupancy > 0:
                _, log_free = renderer.opacity.log_occupancy(output.sdf)
                log_occupied, _ = renderer.opacity.log_occupancy(at_return)
                losses["loss_occupancy"] = self.occupancy * occupancy_loss(
                    log_free, log_occupied, t, depth, measured, truncation
                )
        return losses


PRESETS = {
    # UniPAD, camera: colour and depth alone. With color=0 also its LiDAR recipe.
    "reference": RenderingObjective(),
    # PonderV2's indoor weights.
    "geometry": RenderingObjective(color=10.0, depth=1.0, free_space=1.0, sdf=10.0, eikonal=0.01),
    # The reference and occupancy from LiDAR, which GaussianPretrain's ablation finds the largest single gain;
    # the weight is ours.
    "occupancy": RenderingObjective(occupancy=1.0),
}
"""`reference` is UniPAD's, `geometry` PonderV2's for rooms, `occupancy` the reference with occupancy from LiDAR."""
