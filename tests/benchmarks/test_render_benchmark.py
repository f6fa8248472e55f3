"""The reference of the benchmark renders the same picture as the fast path, and the command reports both."""

import argparse
import json
import subprocess
import sys

import torch
import torch.nn.functional as F

from benchmarks import render_benchmark as render
from benchmarks.arguments import add_render_arguments
from benchmarks.reference_renderer import render_as_published
from ponderv2.rendering import HierarchicalSampler, NeuSOpacity, SDFField, VolumeRenderer
from ponderv2.structures import FeatureVolume, VoxelGrid


def _both_ways(sampler):
    """Pictures and gradients of the fast path and of the reference, without the reference's epsilons."""
    torch.manual_seed(0)
    grid = VoxelGrid((-16.0, -16.0, -4.0, 16.0, 16.0, 4.0), (8, 8, 3))
    renderer = VolumeRenderer(SDFField(8, 8, 8), NeuSOpacity(), sampler).eval()
    data = torch.randn(2, 8, *grid.shape) / 4
    origins = torch.zeros(2, 40, 3)
    directions = F.normalize(torch.randn(2, 40, 3) * torch.tensor([1.0, 1.0, 0.2]), dim=-1)
    # Of an empty ray the published depth is a quotient of nothing, clipped to the samples of all rays.
    seen = renderer(FeatureVolume(data, grid), origins, directions).opacity > 0.01
    assert seen.float().mean() > 0.5
    for way in (
        lambda v: renderer(v, origins, directions),
        lambda v: render_as_published(renderer, v, origins, directions, epsilon=1e-12),
    ):
        leaf = data.clone().requires_grad_()
        out = way(FeatureVolume(leaf, grid))
        rgb, depth = out if isinstance(out, tuple) else (out.rgb, out.depth)
        loss = rgb.square().sum() + depth[seen].sum() / 16
        yield rgb.detach(), depth[seen].detach(), torch.autograd.grad(loss, [leaf, *renderer.parameters()])


def test_reference_and_fast_path_render_the_same_picture():
    ours, theirs = _both_ways(HierarchicalSampler(24, 8))
    torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=1e-3)
    # Where a ray has hardly any weight, rounding moves the samples that follow it by centimetres.
    torch.testing.assert_close(ours[1], theirs[1], rtol=0, atol=5e-2)


def test_reference_and_fast_path_have_the_same_gradients_at_the_same_samples():
    ours, theirs = _both_ways(HierarchicalSampler(32, 0))
    torch.testing.assert_close(ours[1], theirs[1], rtol=0, atol=1e-3)
    for a, b in zip(ours[2], theirs[2], strict=True):
        assert (a - b).norm() < 1e-4 * b.norm() + 1e-6


def test_benchmark_reports_ratios(repository, tmp_path):
    json_file = tmp_path / "render.json"
    options = ["--rays=32", "--samples=16", "--repeats=1", "--no-compile", f"--json={json_file}"]
    command = [sys.executable, "tools/benchmark.py", "render", *options]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(json_file.read_text())
    assert result["time_ratio"] > 0
    assert result["memory_ratio"] > 0
    assert set(result["seconds"]) == {"reference", "eager"}


def test_benchmark_defaults_are_the_published_size():
    parser = argparse.ArgumentParser()
    add_render_arguments(parser)
    args = parser.parse_args([])
    assert (args.rays, args.samples, args.channels) == (3072, 96, 32)
    assert render.GRID.shape == (5, 180, 180)
