"""The LiDAR benchmark: its arguments, what it returns, and the sweep it makes up."""

import argparse

import pytest
import torch

from benchmarks import lidar_benchmark as lidar
from benchmarks.arguments import add_lidar_arguments
from ponderv2.registry import MODELS
from tests.factories.lidar_models import RANGE, lidar_encoder_config


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    add_lidar_arguments(parser)
    return parser


def test_a_run_returns_ratios_of_pairs_and_prints_a_table(parser, monkeypatch, capsys):
    monkeypatch.setattr(lidar, "_encoder", lambda: MODELS.build(lidar_encoder_config()))
    monkeypatch.setattr(lidar, "keep_freed_memory", lambda: False)
    result = lidar.run(parser.parse_args(["--repeats", "2", "--device", "cpu"]))
    assert result["time_ratio"] > 0
    assert result["with_second3d"]["time_ratio"] > 0
    assert result["pairs"] == 2
    assert result["visible_voxels"] < 0.5 * result["voxels"]
    assert result["device"] == "cpu"
    assert set(result["versions"]) == {"torch", "python"}
    assert "sparse encoder" in capsys.readouterr().out


def test_the_made_up_sweep_is_as_large_as_a_real_one_and_around_the_car():
    points = lidar.random_sweep()
    assert points.shape == (32 * 1084, 5)
    assert points.isfinite().all()
    assert torch.equal(points, lidar.random_sweep())
    inside = (points[:, :2].abs() < RANGE[3]).all(dim=1)
    assert inside.float().mean() > 0.8


@pytest.mark.parametrize(("content", "message"), [(b"", "found 0 values"), (b"\0" * 24, "found 6 values")])
def test_a_file_that_is_no_sweep_is_one_clear_error(parser, tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(lidar, "_encoder", lambda: MODELS.build(lidar_encoder_config()))
    monkeypatch.setattr(lidar, "keep_freed_memory", lambda: False)
    path = tmp_path / "sweep.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        lidar.run(parser.parse_args(["--sweep", str(path)]))
