"""Objects of the ground-truth database: the right points, of the right classes, relative to their boxes."""

import copy

import numpy as np
import pytest

from ponderv2.datasets import GroundTruthDatabase
from ponderv2.datasets.prepare import PreparationError
from ponderv2.datasets.prepare.gt_database_writer import SceneObjects
from ponderv2.geometry import to_box_frame
from tests.factories.nuscenes_tables import INTERVAL, OBJECTS, object_place


@pytest.fixture(scope="module")
def database(prepared) -> GroundTruthDatabase:
    return GroundTruthDatabase(prepared / "nuscenes_gt_database_train")


@pytest.fixture
def scene(train_info) -> list[dict]:
    """The key frames of a scene, to be changed."""
    return copy.deepcopy(train_info["data_list"][:3])


def test_ignored_categories_are_not_stored_as_barriers(database):
    # Two scenes of three key frames, with a barrier and an animal in each.
    assert {name: len(objects) for name, objects in database.objects.items() if objects} == {
        "car": 12,
        "truck": 6,
        "pedestrian": 2,
        "barrier": 6,
    }
    assert {entry["instance_token"][-1] for entry in database.objects["barrier"]} == {"4"}


def test_objects_without_points_are_left_out(database):
    assert all(entry["num_points"] > 0 for objects in database.objects.values() for entry in objects)
    assert "6" not in {entry["instance_token"][-1] for entry in database.objects["car"]}


def test_points_are_relative_to_the_box_and_inside_of_it(database):
    for objects in database.objects.values():
        for entry in objects:
            points = database.points(entry)
            assert points.shape == (entry["num_points"], 5)
            box = np.array([0, 0, 0, *entry["bbox_3d"][3:]])
            assert (np.abs(to_box_frame(points[:, :3], box)) <= box[3:6] / 2 + 1e-4).all()


def test_a_standing_object_gathers_the_same_points_from_every_sweep_of_a_turning_car(database, train_info):
    lidar2global = {
        frame["token"]: np.array(frame["ego2global"]) @ frame["lidar_points"]["lidar2ego"]
        for frame in train_info["data_list"]
    }
    barriers = [entry for entry in database.objects["barrier"] if entry["sample_token"].endswith("2")]
    for entry in barriers:
        points = database.points(entry)
        lags = np.unique(points[:, 4])
        np.testing.assert_allclose(lags, 0.125 * np.arange(10), atol=1e-5)
        centre, rotation = object_place(4, 2 * INTERVAL)
        world = (points[:, :3] + entry["bbox_3d"][:3]) @ lidar2global[entry["sample_token"]][:3, :3].T
        world += lidar2global[entry["sample_token"]][:3, 3]
        local = (world - centre) @ rotation.rotation_matrix
        assert (np.abs(local) <= np.array([0.5, 2.5, 1.0]) / 2 + 0.03).all()
        # All points of the world's object but a few that the tilt of the LiDAR leaves outside.
        assert entry["num_points"] > 0.9 * 10 * 60


def test_the_key_frame_alone_can_be_told_by_its_lag(database):
    for entry in database.objects["truck"]:
        of_key_frame = (database.points(entry)[:, 4] == 0).sum()
        assert 0 < of_key_frame == entry["num_key_frame_points"] <= entry["num_points"]


def test_cutting_leaves_the_points_of_the_scene_alone(tables_root, scene):
    objects = SceneObjects(tables_root, lidar_sweeps=0)
    points = objects._points(scene[1])
    before = points.copy()
    cut = objects._cut(points, scene[1]["instances"][0])
    cut[:] = 0
    np.testing.assert_array_equal(points, before)


def test_an_object_that_was_only_there_before_is_left_out(tables_root, scene):
    # Where the truck of the scene was in the sweep before, there is nothing any more.
    objects = SceneObjects(tables_root, lidar_sweeps=9)
    points = objects._points(scene[2])
    truck = scene[2]["instances"][2]
    assert objects._cut(points, truck) is not None
    assert objects._cut(points[points[:, 4] > 0], truck) is None


def test_entries_say_where_an_object_is_from(database):
    entry = database.objects["pedestrian"][0]
    assert entry["velocity"] == [None, None]
    assert (entry["class_name"], entry["label"]) == ("pedestrian", 7)
    assert entry["sample_token"] == f"{entry['scene_name']} sample 1"
    assert OBJECTS[int(entry["instance_token"][-1])][0] == "human.pedestrian.adult"


def test_points_are_a_copy_at_every_call(database):
    entry = database.objects["car"][0]
    database.points(entry)[:] = 0
    assert database.points(entry).any()


def test_a_damaged_sweep_is_named(tables_root, scene, tmp_path):
    (tmp_path / "samples" / "LIDAR_TOP").mkdir(parents=True)
    (tmp_path / "samples" / "LIDAR_TOP" / scene[0]["lidar_points"]["lidar_path"]).write_bytes(b"12345")
    with pytest.raises(PreparationError, match=r"key frame .*has 5 bytes"):
        SceneObjects(tmp_path, lidar_sweeps=0)(scene[:1])


def test_a_folder_without_a_finished_database_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no finished ground-truth database \(index\.pkl\)"):
        GroundTruthDatabase(tmp_path)
