"""The rendering decoder: it turns a feature volume and rays into colour and depth. It needs torch alone.

`VolumeRenderer` puts it together: a collider and a sampler choose points, a field evaluates them by trilinear
interpolation and perceptrons, an opacity model and compositing sum them up. `RenderingObjective` weighs the losses.
"""

from ._trilinear import trilinear
from .colliders import BoxCollider, NearFarCollider
from .compositing import RenderOutput, composite, render_values, transmittance_weights
from .fields import ConditionedMLP, FieldOutput, SDFField
from .losses import (
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
from .objective import PRESETS, RenderingObjective
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
    "RaySamples",
    "RenderOutput",
    "RenderingObjective",
    "RootFindingSampler",
    "SDFField",
    "UniSurfOpacity",
    "UniformSampler",
    "VolSDFOpacity",
    "VolumeRenderer",
    "color_loss",
    "composite",
    "depth_loss",
    "eikonal_loss",
    "free_space_loss",
    "intensity_loss",
    "occupancy_loss",
    "render_values",
    "sdf_loss",
    "semantic_loss",
    "surface_loss",
    "transmittance_weights",
    "trilinear",
]
