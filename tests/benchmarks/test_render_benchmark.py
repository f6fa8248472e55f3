"""The reference of the benchmark renders the same picture as the fast path, and the command reports both."""

import argparse
import json
import subprocess
import sys

import torch
import torch.nn.functional as F

from ponderv2.benchmarks import render
from ponderv2.benchmarks.reference import render_as_published
from ponderv2.rendering import HierarchicalSampler, NeuSOpacity, SDFField, VolumeRenderer
from ponderv2.structures import FeatureVolume, VoxelGrid


def test_reference_and_fast_path_agree_in_picture_and_gradients():
    torch.manual_seed(0)
    grid = VoxelGrid((-16.0, -16.0, -4.0, 16.0, 16.0, 4.0), (8, 8, 3))
    renderer = VolumeRenderer(SDFField(8, 8, 8), NeuSOpacity(), HierarchicalSampler(24, 8)).eval()
    data = torch.randn(2, 8, *grid.shape) / 4
    origins = torch.zeros(2, 40, 3)
    directions = F.normalize(torch.randn(2, 40, 3) * torch.tensor([1.0, 1.0, 0.2]), dim=-1)
    pictures, gradients = [], []
    for way in (
        lambda v: renderer(v, origins, directions),
        lambda v: render_as_published(renderer, v, origins, directions, epsilon=1e-12),
    ):
        leaf = data.clone().requires_grad_()
        out = way(FeatureVolume(leaf, grid))
        rgb, depth = out if isinstance(out, tuple) else (out.rgb, out.depth)
        pictures.append((rgb.detach(), depth.detach()))
        gradients.append(torch.autograd.grad(rgb.square().sum() + depth.sum() / 16, [leaf, *renderer.parameters()]))
    # What is left is the published product of transmittances, which adds 1e-7 a sample.
    torch.testing.assert_close(pictures[0][0], pictures[1][0], rtol=0, atol=1e-3)
    torch.testing.assert_close(pictures[0][1], pictures[1][1], rtol=0, atol=5e-2)
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours - theirs).norm() < 0.005 * theirs.norm() + 1e-6


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
    render.add_arguments(parser)
    args = parser.parse_args([])
    assert (args.rays, args.samples, args.channels) == (3072, 96, 32)
    assert render.GRID.shape == (5, 180, 180)
