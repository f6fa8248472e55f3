"""Compile a training step of the decoder as one graph and compare its gradients.

It is run as `python -m tests.rendering.one_graph NAME`: a program of its own, as the run-time shape checks of the tests
cannot be compiled.
"""

import sys

import torch
import torch.nn.functional as F

from ponderv2.rendering import (
    ErrorBoundedSampler,
    HierarchicalSampler,
    NeuSOpacity,
    RenderingObjective,
    RootFindingSampler,
    SDFField,
    UniSurfOpacity,
    VolSDFOpacity,
    VolumeRenderer,
)
from ponderv2.structures import FeatureVolume, RayBatch
from tests.factories.analytic_field import GRID

EVERY_LOSS = RenderingObjective(free_space=1.0, sdf=1.0, eikonal=0.1, surface=1.0, occupancy=1.0)
CASES = {
    "neus": (NeuSOpacity, HierarchicalSampler(12, 4), RenderingObjective()),
    "volsdf": (VolSDFOpacity, ErrorBoundedSampler(8, 4, 8, num_rounds=2, num_bisections=2), EVERY_LOSS),
    "unisurf": (UniSurfOpacity, RootFindingSampler(12, 8, 4), RenderingObjective(depth_mode="opacity_aware")),
}


def main(name: str) -> None:
    """Raise when the step breaks into several graphs, or when a gradient differs."""
    opacity, sampler, objective = CASES[name]
    torch.manual_seed(0)
    renderer = VolumeRenderer(SDFField(8, 8, 8, 3, 2), opacity(), sampler).train()
    data = torch.randn(2, 8, *GRID.shape)
    origins, directions = torch.randn(2, 12, 3), F.normalize(torch.randn(2, 12, 3), dim=-1)
    every = torch.ones(2, 12, dtype=torch.bool)
    depth, rgb = 1 + 9 * torch.rand(2, 12), torch.rand(2, 12, 3)
    rays = RayBatch(origins, directions, every, depth, torch.zeros(2, 12, 2), rgb)

    def total(data):
        volume = FeatureVolume(data, GRID)
        out = renderer(volume, rays.origins, rays.directions)
        at_return = log_free = log_occupied = None
        if objective.needs_sdf_at_return:
            at_return = renderer.sdf_along(volume, rays.origins, rays.directions, rays.depth)
        if objective.needs_occupancy:
            _, log_free = renderer.opacity.log_occupancy(out.sdf)
            log_occupied, _ = renderer.opacity.log_occupancy(at_return)
        return sum(objective(out, rays, GRID.scene_scale, at_return, log_free, log_occupied).values())

    gradients = []
    for function in (total, torch.compile(total, fullgraph=True, backend="aot_eager")):
        leaf = data.clone().requires_grad_()
        torch.manual_seed(1)
        gradients.append(torch.autograd.grad(function(leaf), [leaf, *renderer.parameters()], allow_unused=True))
    for eager, compiled in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-6)
    print(f"{name}: one graph")


if __name__ == "__main__":
    main(sys.argv[1])
