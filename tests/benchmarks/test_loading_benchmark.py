"""The benchmark of loading: what it measures, and its errors."""

import argparse

import pytest
import torch

from benchmarks import loading_benchmark as benchmark
from benchmarks.arguments import add_loading_arguments
from ponderv2.errors import UserError
from tests.factories.keyframe import INFO_NAME


def given(*line: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_loading_arguments(parser)
    return parser.parse_args([str(part) for part in line])


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_sample_of_cameras_is_compared_with_the_decoding_of_its_images(frame_root, capsys):
    result = benchmark.run(given("--data-root", frame_root, "--ann-file", INFO_NAME, "--repeats", 3))
    assert result["camera_ms"] > result["decode_ms"] > 0
    assert result["camera_over_decode"] > 1
    assert result["lidar_ms"] > 0
    assert (result["images"], result["sizes"], result["threads"]) == (6, [(90, 160)], 1)
    assert "6 images of 160×90" in capsys.readouterr().out


def test_a_missing_info_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"has no nuscenes_infos_train\.pkl; tools/create_data\.py makes"):
        benchmark.run(given("--data-root", tmp_path))
