"""The benchmark of info files: the random entries have nuScenes' form, and ranks are measured."""

import argparse
import math

import pytest

from benchmarks import infos_benchmark, infos_rank
from benchmarks.arguments import add_infos_arguments
from benchmarks.random_infos import random_frame, write_index, write_infos
from ponderv2.datasets import CAMERAS, GroundTruthSampling, PonderNuScenesDetDataset, load_info_file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("random_infos")
    write_infos(folder / infos_rank.INFOS, 12)
    write_index(folder / infos_rank.DATABASE, 12)
    return folder


def test_random_frames_have_the_keys_of_prepared_ones(streets):
    (prepared, *_) = load_info_file(streets / "nuscenes_infos_train.pkl")["data_list"]
    random = random_frame(0, sweeps=10, instances=35.0)
    # Tables with lidarseg alone have the last one.
    assert set(random) == set(prepared) - {"pts_semantic_mask_path"}
    assert set(random["instances"][0]) == set(prepared["instances"][0])
    assert set(random["images"]) == set(CAMERAS)
    assert set(random["images"]["CAM_BACK"]) == set(prepared["images"]["CAM_BACK"])
    assert len(random["lidar_sweeps"]) == 10
    assert set(random["lidar_sweeps"][0]["lidar_points"]) == {"lidar_path", "lidar2ego", "lidar2sensor"}
    mean = sum(len(random_frame(k, 0, 35.0)["instances"]) for k in range(50)) / 50
    assert math.isclose(mean, 35, abs_tol=3)


def test_the_list_gives_the_frames_that_the_store_gives(folder):
    options = dict(data_root=str(folder), ann_file=infos_rank.INFOS, pipeline=[])
    listed, lazy = infos_rank.ListedDataset(**options), PonderNuScenesDetDataset(**options)
    assert len(listed) == len(lazy) == 12
    for k in range(12):
        first, second = listed.get_data_info(k), lazy.get_data_info(k)
        assert first["images"] == second["images"]
        assert first["lidar_sweeps"] == second["lidar_sweeps"]
        assert first["ann_info"]["gt_labels_3d"].tolist() == second["ann_info"]["gt_labels_3d"].tolist()


def test_the_objects_of_the_random_index_are_those_of_the_random_frames(folder):
    sampling = GroundTruthSampling(data_root=str(folder), min_points=0)
    PonderNuScenesDetDataset(data_root=str(folder), ann_file=infos_rank.INFOS, pipeline=[sampling], load_interval=2)
    frames = load_info_file(folder / infos_rank.INFOS)["data_list"][::2]
    assert sum(map(len, sampling.rows.values())) == sum(len(frame["instances"]) for frame in frames)


@pytest.mark.slow
def test_ranks_are_measured(folder, capsys):
    parser = argparse.ArgumentParser()
    add_infos_arguments(parser)
    options = ["--frames=12", "--ranks", "2", "--ways", "store", "--parts", "infos", "--folder", str(folder)]
    result = infos_benchmark.run(parser.parse_args(options))
    (row,) = result["rows"]
    assert (row["part"], row["way"], row["ranks"]) == ("infos", "store", 2)
    assert row["seconds"] > 0
    assert row["read_ms"] > 0
    assert row["peak_bytes"] > 0
    assert "12 key frames" in capsys.readouterr().out


def test_the_defaults_are_the_training_set_with_one_and_four_ranks():
    parser = argparse.ArgumentParser()
    add_infos_arguments(parser)
    args = parser.parse_args([])
    assert (args.frames, args.ranks, tuple(args.ways)) == (28130, [1, 4], infos_benchmark.WAYS)
