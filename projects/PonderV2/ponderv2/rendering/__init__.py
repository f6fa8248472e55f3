"""The rendering decoder: a feature volume and rays in, colour and depth out. Torch alone.

lookup → fields → (collider, sampler) → opacity → compositing, put together by `VolumeRenderer`; then losses.
"""

from .colliders import BoxCollider
from .compositing import RenderOutput, composite, transmittance_weights
from .fields import ConditionedMLP, FieldOutput, SDFField
from .lookup import trilinear, trilinear_with_gradient
from .losses import color_loss, depth_loss
from .opacity import NeuSOpacity
from .renderer import VolumeRenderer
from .samplers import HierarchicalSampler, RaySamples, UniformSampler

__all__ = [
    "BoxCollider",
    "ConditionedMLP",
    "FieldOutput",
    "HierarchicalSampler",
    "NeuSOpacity",
    "RaySamples",
    "RenderOutput",
    "SDFField",
    "UniformSampler",
    "VolumeRenderer",
    "color_loss",
    "composite",
    "depth_loss",
    "transmittance_weights",
    "trilinear",
    "trilinear_with_gradient",
]
