"""Losses in bfloat16 against those in float32, over the steps of a small training that is the same otherwise."""

from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor, nn

from ponderv2.rendering import HierarchicalSampler, NeuSOpacity, SDFField, VolumeRenderer, color_loss, depth_loss
from ponderv2.structures import FeatureVolume

from .torch_cases import CHANNELS, GRID, RAYS, rays, volume_data

STEPS = 50
TOLERANCE = 0.15
"""Largest relative difference of the mean losses of the last ten steps. On a CPU it is 8 % of the rendered scene, whose
volume is learned cell by cell, and 0 % of the camera model."""

Model = tuple[nn.Module, Callable[[], Tensor]]
"""A model, and a function that computes its loss."""


def compare_precisions(make: Callable[[str], Model], device: str, steps: int = STEPS) -> dict:
    """Train twice from the same weights on the same data.

    Args:
        make: makes a model on a device, from torch's global generator.
        device: where it is trained.
        steps: number of steps.

    Returns:
        `losses` by precision, one for each step; `difference` of the means of their last ten, relative; `passed`.
    """
    losses = {}
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        model, loss_of = make(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
        taken = []
        for _ in range(steps):
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bfloat16"):
                loss = loss_of()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            taken.append(loss.detach())
        losses[precision] = torch.stack(taken).float().tolist()
    ends = {precision: fmean(values[-10:]) for precision, values in losses.items()}
    difference = abs(ends["bfloat16"] / ends["float32"] - 1)
    # A number that is none is not within the tolerance.
    return {"losses": losses, "difference": difference, "tolerance": TOLERANCE, "passed": difference <= TOLERANCE}


class _Scene(nn.Module):
    """A volume with learned features, and a renderer."""

    def __init__(self) -> None:
        super().__init__()
        field = SDFField(CHANNELS, 16, 16, sdf_layers=3, color_layers=2)
        self.renderer = VolumeRenderer(field, NeuSOpacity(), HierarchicalSampler(24, 8))
        self.conv = nn.Conv3d(CHANNELS, CHANNELS, 3, padding=1)
        self.features = nn.Parameter(volume_data())


def rendered_scene(device: str) -> Model:
    """Make a volume that learns colors and depths of rays; it needs torch alone."""
    scene = _Scene().to(device)
    origins, directions = (x.to(device) for x in rays())
    rgb, depth = torch.rand(1, RAYS, 3).to(device), (2 + 40 * torch.rand(1, RAYS)).to(device)
    every = torch.ones_like(depth, dtype=torch.bool)

    def loss() -> Tensor:
        out = scene.renderer(FeatureVolume(scene.conv(scene.features), GRID), origins, directions)
        return 10 * color_loss(out.rgb, rgb, every) + 10 * depth_loss(out.depth, depth, every, GRID.scene_scale)

    return scene, loss


def camera_model(device: str) -> Model:
    """Make a small camera model that is pre-trained by rendering on one batch."""
    # A machine with torch alone does without.
    from ponderv2.heads import RenderHead
    from ponderv2.models import RenderingPretrainer
    from ponderv2.registry import MODELS
    from ponderv2.structures import SensorBatch

    from .agreement import moved
    from .mmcv_cases import SIZE, camera_config, ray_batch, simple_depth, small_rig

    sampler = dict(type=HierarchicalSampler, num_proposals=24, num_important=8)
    head = dict(type=RenderHead, in_channels=CHANNELS, render_channels=CHANNELS, sampler=sampler)
    config = dict(type=RenderingPretrainer, encoder=camera_config(simple_depth()), head=head)
    model = MODELS.build(config).to(device).train()
    batch = SensorBatch(small_rig().to(device, torch.float32), torch.randn(1, 6, 3, *SIZE).to(device))
    batch = SensorBatch(batch.rig, batch.images, rays=moved(ray_batch(), device))

    def loss() -> Tensor:
        return sum(value for name, value in model.loss(batch).items() if name.startswith("loss"))

    return model, loss
