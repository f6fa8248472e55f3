"""The objective of rendering: how much each loss counts. Weights are the published ones; presets have names."""

from dataclasses import dataclass, fields, replace

from torch import Tensor

from ponderv2.shapes import Float
from ponderv2.structures import RayBatch

from .compositing import RenderOutput
from .losses import (
    COLOR_DIFFERENCES,
    color_loss,
    depth_loss,
    eikonal_loss,
    free_space_loss,
    intensity_loss,
    occupancy_loss,
    sdf_loss,
    semantic_loss,
    surface_loss,
)


@dataclass(frozen=True)
class RenderingObjective:
    """A weighted sum of losses. The weight 0 leaves a loss out, and all that only it needs. The default is UniPAD's.

    Attributes:
        color: weight of `color_loss`.
        depth: weight of `depth_loss`.
        free_space: weight of `free_space_loss`.
        sdf: weight of `sdf_loss`.
        eikonal: weight of `eikonal_loss`.
        surface: weight of `surface_loss`.
        occupancy: weight of `occupancy_loss`.
        semantic: weight of `semantic_loss`; published 0.1 (PonderV2's outdoor and indoor variants alike).
        intensity: weight of `intensity_loss`; ours, no published recipe of this line has it.
        color_mode: "l1" as published; "l2" for the mean square, with a weight some six times as large: at a
            difference of 0.08 the two then pull alike.
        depth_mode: "reference" compares depth divided by opacity, as published; "opacity_aware" puts the light that
            is left at the far end of the ray, so that a transparent ray cannot have a good depth.
        truncation: metres; the band of `sdf`, the margin of `free_space` and `occupancy`. A metre is about
            the distance between samples of a 54 m ray, as PonderV2's 5 cm is indoors.

    Raises:
        ValueError: for an unknown mode, or a truncation that is not above 0.
    """

    color: float = 10.0
    depth: float = 10.0
    free_space: float = 0.0
    sdf: float = 0.0
    eikonal: float = 0.0
    surface: float = 0.0
    occupancy: float = 0.0
    semantic: float = 0.0
    intensity: float = 0.0
    color_mode: str = "l1"
    depth_mode: str = "reference"
    truncation: float = 1.0

    def __post_init__(self) -> None:
        for name, known in (("color_mode", tuple(COLOR_DIFFERENCES)), ("depth_mode", ("reference", "opacity_aware"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {known}, got {getattr(self, name)!r}")
        if self.truncation <= 0:
            raise ValueError(f"truncation: expected metres above 0, got {self.truncation}")

    @property
    def needs_sdf_at_return(self) -> bool:
        """True when a loss needs the signed distance at the LiDAR return of each ray."""
        return self.surface > 0 or self.needs_occupancy

    @property
    def needs_occupancy(self) -> bool:
        """True when a loss needs probabilities of occupancy."""
        return self.occupancy > 0

    @property
    def needs_semantic_features(self) -> bool:
        """True when a loss needs features that say what is there."""
        return self.semantic > 0 or self.intensity > 0

    @staticmethod
    def preset(name: str, **changes: float | str) -> "RenderingObjective":
        """Make the objective of a name in `PRESETS`, with some of its attributes changed.

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
        self,
        output: RenderOutput,
        rays: RayBatch,
        scene_scale: float,
        sdf_at_return: Float[Tensor, "b q"] | None = None,
        log_free: Float[Tensor, "b q s"] | None = None,
        log_occupied_at_return: Float[Tensor, "b q"] | None = None,
        class_logits: Float[Tensor, "b q k"] | None = None,
        intensity: Float[Tensor, "b q"] | None = None,
    ) -> dict[str, Tensor]:
        """Compute the weighted losses of rendered rays.

        Args:
            output: what has been rendered of the rays, `[B, Q]`.
            rays: the rays and their measurements, their cameras flattened: `[B, Q]`.
            scene_scale: scene units in a metre, see `VoxelGrid.scene_scale`.
            sdf_at_return: signed distance at the LiDAR return of each ray, scene units; see `needs_sdf_at_return`.
            log_free: log-probability that each sample is free; see `needs_occupancy`.
            log_occupied_at_return: log-probability that the place of the LiDAR return of each ray is occupied; see
                `needs_occupancy`.
            class_logits: rendered logits of the classes.
            intensity: rendered intensity of the LiDAR return of each ray.

        Returns:
            Losses by name, `loss_...`, those with a weight alone.

        Raises:
            ValueError: when a loss has a weight and what it needs is missing.
        """
        valid, measured = rays.valid & output.hit, rays.has_depth & output.hit
        t, depth, truncation = output.t * scene_scale, rays.depth * scene_scale, self.truncation * scene_scale
        losses = {}
        if self.color > 0:
            if rays.rgb is None or output.rgb is None:
                raise ValueError(
                    "color > 0 but the rays have no colours: set color=True in the transform that samples rays"
                )
            losses["loss_color"] = self.color * color_loss(output.rgb, rays.rgb, valid, self.color_mode)
        if self.depth > 0:
            rendered = output.depth if self.depth_mode == "reference" else output.depth_to_far
            losses["loss_depth"] = self.depth * depth_loss(rendered, rays.depth, measured, scene_scale)
        if self.free_space > 0:
            losses["loss_free_space"] = self.free_space * free_space_loss(output.sdf, t, depth, measured, truncation)
        if self.sdf > 0:
            losses["loss_sdf"] = self.sdf * sdf_loss(output.sdf, t, depth, measured, truncation)
        if self.eikonal > 0:
            losses["loss_eikonal"] = self.eikonal * eikonal_loss(output.normal, valid)
        if self.surface > 0:
            if sdf_at_return is None:
                raise ValueError("surface > 0: expected sdf_at_return, got None")
            losses["loss_surface"] = self.surface * surface_loss(sdf_at_return, measured)
        if self.occupancy > 0:
            if log_free is None or log_occupied_at_return is None:
                raise ValueError("occupancy > 0: expected log_free and log_occupied_at_return, got None")
            losses["loss_occupancy"] = self.occupancy * occupancy_loss(
                log_free, log_occupied_at_return, t, depth, measured, truncation
            )
        if self.semantic > 0:
            if rays.semantic is None or class_logits is None:
                raise ValueError(
                    "semantic > 0 but the rays have no classes: load labels with LoadPointLabels, and set "
                    "semantic=True in the transform that samples rays"
                )
            losses["loss_semantic"] = self.semantic * semantic_loss(class_logits, rays.semantic, measured)
        if self.intensity > 0:
            if rays.intensity is None or intensity is None:
                raise ValueError(
                    "intensity > 0 but the rays have no intensities: set intensity=True in the transform that samples "
                    "rays"
                )
            losses["loss_intensity"] = self.intensity * intensity_loss(intensity, rays.intensity, measured)
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
