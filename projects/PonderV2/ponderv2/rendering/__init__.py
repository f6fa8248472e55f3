"""The rendering decoder: a feature volume and rays in, colour and depth out. Torch alone.

lookup → fields → (collider, sampler) → opacity → compositing, put together by `VolumeRenderer`; then losses.
"""

from .colliders import BoxCollider, NearFarCollider
from .compositing import RenderOutput, composite, transmittance_weights
from .fields import ConditionedMLP, FieldOutput, SDFField
from .trilinear import Places, as_table, locate, read, read_slope, trilinear
from .losses import (
    color_loss,
    depth_loss,
    eikonal_loss,
    free_space_loss,
    occupancy_loss,
    sdf_loss,
    surface_loss,
)
from .objective import PRESETS, RayTargets, RenderingObjective
from .opacity import NeuSOpacity, UniSurfOpacity, VolSDFOpacity
from .renderer import VolumeRenderer
from .samplers import HierarchicalSampler, LinearDisparitySampler, RaySamples, UniformSampler
from .surface_samplers import ErrorBoundedSampler, RootFindingSampler

__all__ = [
    "PRESETS",
    "BoxCollider",
    "ConditionedMLP",
    "ErrorBoundedSampler",
    "FieldOutput",
    "HierarchicalSampler",
    "LinearDisparitySampler",
    "NearFarCollider",
    "NeuSOpacity",
    "Places",
    "RaySamples",
    "RayTargets",
    "RenderOutput",
    "RenderingObjective",
    "RootFindingSampler",
    "SDFField",
    "UniSurfOpacity",
    "UniformSampler",
    "VolSDFOpacity",
    "VolumeRenderer",
    "as_table",
    "color_loss",
    "composite",
    "depth_loss",
    "eikonal_loss",
    "free_space_loss",
    "locate",
    "occupancy_loss",
    "read",
    "read_slope",
    "sdf_loss",
    "surface_loss",
    "transmittance_weights",
    "trilinear",
]
