"""The rendering decoder against the published formulation: time and memory of forward and backward.

It needs torch alone, so it runs on a bare machine with a copy of the repository. Times are paired, in turn, in one
process; the peak memory of each way is that of a process of its own.
"""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.devices import usable_device
from ponderv2.rendering import HierarchicalSampler, NeuSOpacity, SDFField, VolumeRenderer, color_loss, depth_loss
from ponderv2.structures import FeatureVolume, VoxelGrid

from .arguments import RENDER_WAYS as WAYS
from .measure import peak_bytes, peak_of_own_process, print_ways, seconds_in_turn, surroundings
from .reference_renderer import render_as_published

GRID = VoxelGrid((-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), (180, 180, 5))


def run(args: argparse.Namespace) -> dict:
    """Measure all ways and print a table.

    Returns:
        `time_ratio`, `memory_ratio`: reference over ours (eager), higher is better; `seconds`, `peak_bytes` by
        way; sizes, device and versions. With `--only`, just that way's peak memory.
    """
    args.device = usable_device(args.device)
    if args.only:
        return {"peak_bytes": peak_bytes(_step(args, args.only), args.device)}
    ways = [way for way in WAYS if not (way == "compiled" and args.no_compile)]
    seconds = seconds_in_turn({way: _step(args, way) for way in ways}, args.repeats, args.device)
    names = ("rays", "samples", "channels", "hidden", "batch", "device")
    peaks = {way: peak_of_own_process("render", args, way, names) for way in ways}
    result = {
        "time_ratio": seconds["reference"] / seconds["eager"],
        "memory_ratio": peaks["reference"] / peaks["eager"],
        "seconds": seconds,
        "peak_bytes": peaks,
        "size": {name: getattr(args, name) for name in ("batch", "rays", "samples", "channels", "hidden")},
        "volume": [args.batch, args.channels, *GRID.shape],
        **surroundings(args.device),
    }
    rays = f"{args.batch} × {args.rays} rays × {args.samples} samples"
    print_ways(f"{rays}, forward and backward, on {result['device']}", seconds, peaks, "reference")
    return result


def _step(args: argparse.Namespace, way: str) -> Callable[[], float]:
    """Make a training step of the decoder, without the optimiser; it returns the loss."""
    torch.manual_seed(0)
    proposals = args.samples * 3 // 4
    renderer = VolumeRenderer(
        SDFField(args.channels, args.hidden, args.hidden),
        NeuSOpacity(),
        HierarchicalSampler(proposals, args.samples - proposals),
    )
    # Without jitter, so that all ways render the same picture.
    renderer = renderer.to(args.device).eval()
    data = torch.randn(args.batch, args.channels, *GRID.shape, device=args.device) / 2
    origins = torch.zeros(args.batch, args.rays, 3, device=args.device)
    directions = torch.randn(args.batch, args.rays, 3, device=args.device)
    directions = F.normalize(directions * directions.new_tensor([1.0, 1.0, 0.08]), dim=-1)
    rgb = torch.rand(args.batch, args.rays, 3, device=args.device)
    depth = 1 + 50 * torch.rand(args.batch, args.rays, device=args.device)
    every = torch.ones_like(depth, dtype=torch.bool)

    def ours(data: Tensor) -> tuple[Tensor, Tensor]:
        out = renderer(FeatureVolume(data, GRID), origins, directions)
        return out.rgb, out.depth

    def reference(data: Tensor) -> tuple[Tensor, Tensor]:
        return render_as_published(renderer, FeatureVolume(data, GRID), origins, directions)

    render = {"reference": reference, "eager": ours}.get(way) or torch.compile(ours, fullgraph=True)

    def step() -> float:
        volume = data.clone().requires_grad_()
        seen, distance = render(volume)
        loss = 10 * color_loss(seen, rgb, every) + 10 * depth_loss(distance, depth, every, GRID.scene_scale)
        loss.backward()
        return float(loss.detach())

    return step
