"""The outer product of the benchmark lifts the same volume as the splat, and the command reports all ways."""

import argparse
import json
import subprocess
import sys

import torch

from benchmarks import lift_benchmark as lift
from benchmarks.arguments import add_lift_arguments
from ponderv2.geometry import project
from ponderv2.lifting import SplatLift
from ponderv2.structures import VoxelGrid


def _inputs(channels=4, bins=12):
    features = torch.randn(2, 3, channels, 29, 50, requires_grad=True)
    depths = torch.randn(2, 3, bins, 29, 50).softmax(dim=2).requires_grad_()
    return features, depths


def test_outer_product_and_splat_lift_the_same_volume_with_the_same_gradients():
    grid = VoxelGrid(lift.GRID.point_cloud_range, (18, 18, 2))
    rig = lift.camera_ring(3, 2).to("cpu", torch.float32)
    inputs = _inputs()
    slope = torch.randn(2, 4, *grid.shape)
    results = []
    for way in (SplatLift, lift.OuterProductSplat):
        volume = way(lift.DEPTH_RANGE)([inputs[0]], [inputs[1]], (lift.STRIDE,), rig, grid)
        results.append((volume, *torch.autograd.grad(volume, inputs, slope)))
    assert results[0][0].abs().sum() > 0
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)


def test_the_cameras_look_around_and_up_to_the_horizon():
    rig = lift.camera_ring(6, 1)
    ahead = torch.tensor([[[0.0, 20.0, -0.3]]], dtype=torch.float64).expand(1, 6, 1, 3)
    pixels, depth = project(ahead, rig.lidar2img)
    assert (depth[0, :, 0] > 0).tolist() == [True, True, False, False, False, True]
    torch.testing.assert_close(pixels[0, 0, 0], torch.tensor([799.5, 449.5], dtype=torch.float64))


def test_benchmark_reports_ratios(repository, tmp_path):
    json_file = tmp_path / "lift.json"
    options = ["--cameras=1", "--channels=4", "--repeats=1", "--device=cpu", f"--json={json_file}"]
    command = [sys.executable, "tools/benchmark.py", "lift", *options]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(json_file.read_text())
    assert result["time_ratio"] > 0
    assert result["memory_ratio"] > 0
    assert set(result["seconds"]) == set(result["peak_bytes"]) == {"outer product", "splat", "pull"}
    assert "splat" in done.stdout


def test_benchmark_defaults_are_the_published_size():
    parser = argparse.ArgumentParser()
    add_lift_arguments(parser)
    args = parser.parse_args([])
    assert (args.cameras, args.channels, lift.BINS, lift.GRID.shape) == (6, 256, 118, (5, 180, 180))
    rows, columns = (edge // lift.STRIDE for edge in lift.PADDED)
    assert args.cameras * rows * columns * lift.BINS == 1_026_600
