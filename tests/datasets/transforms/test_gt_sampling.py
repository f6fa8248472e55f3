"""Ground-truth sampling: how many objects, where they fit, which points, and what the ground truth says afterwards."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet3d.structures import LiDARInstance3DBoxes, LiDARPoints
from shapely.geometry import Polygon

from ponderv2.datasets import (
    DETECTION_CLASSES,
    SAMPLE_GROUPS,
    GroundTruthDatabase,
    GroundTruthSampling,
    UnifiedRotScaleTransFlip,
)
from ponderv2.datasets.data_files import DataFileError
from ponderv2.datasets.transforms.gt_sampling import free_of_collision
from ponderv2.geometry import box_corners, points_in_box
from tests.factories.gt_database import gt_object, write_gt_database

# Ten places far from each other.
PLACES = [[12.0 * k - 54, 30.0, -1.0, 4.0, 1.8, 1.6, 0.3 * k] for k in range(10)]


@pytest.fixture
def cars(tmp_path: Path) -> Path:
    """Folder with a database of ten cars and ten traffic cones; the velocity of the cones is unknown."""
    cones = [[x, y - 30, z, 0.5, 0.5, 1.0, yaw] for x, y, z, *_, yaw in PLACES]
    objects = [gt_object("car", box) for box in PLACES]
    objects += [gt_object("traffic_cone", box, velocity=(None, None)) for box in cones]
    write_gt_database(tmp_path / "nuscenes_gt_database_train", objects)
    return tmp_path


def a_sample(boxes=(), names=(), num_points: int = 4000, lag: float = 0.2) -> dict:
    rng = np.random.default_rng(0)
    points = rng.uniform(-60, 60, (num_points, 5)).astype(np.float32)
    points[:, 2] = rng.uniform(-2, 1, num_points)
    points[:, 4] = np.where(np.arange(num_points) % 2, lag, 0.0)
    values = np.array([[*box, 0.0, 0.0] for box in boxes], dtype=np.float32).reshape(-1, 9)
    return {
        "points": LiDARPoints(points, points_dim=5),
        "gt_bboxes_3d": LiDARInstance3DBoxes(values, box_dim=9, origin=(0.5, 0.5, 0.5)),
        "gt_labels_3d": np.array([DETECTION_CLASSES.index(name) for name in names], dtype=np.int64),
        "lidar_aug": np.eye(4),
    }


def sampled_by(root: Path, sample: dict, **options) -> dict:
    np.random.seed(0)
    return GroundTruthSampling(data_root=str(root), **options)(sample)


def names_of(results: dict) -> list[str]:
    return [DETECTION_CLASSES[label] for label in results["gt_labels_3d"]]


def test_frames_are_filled_up_to_the_numbers_of_the_groups(cars):
    results = sampled_by(cars, a_sample([[0.0, -40, 0, 4, 2, 1.5, 0]], ["car"]), groups={"car": 4, "traffic_cone": 3})
    assert sorted(names_of(results)) == ["car"] * 4 + ["traffic_cone"] * 3
    assert len(results["gt_bboxes_3d"]) == 7
    # The frame's own comes first.
    np.testing.assert_allclose(results["gt_bboxes_3d"].gravity_center[0], [0, -40, 0], atol=1e-6)


def test_a_frame_that_has_enough_is_left_alone(cars):
    sample = a_sample([[10.0 * k, -40, 0, 4, 2, 1.5, 0] for k in range(3)], ["car"] * 3)
    before = sample["points"].tensor.clone()
    results = sampled_by(cars, sample, groups={"car": 2})
    assert names_of(results) == ["car"] * 3
    assert torch.equal(results["points"].tensor, before)


def test_the_published_groups_are_the_default_and_named_by_class(cars):
    sampling = GroundTruthSampling(data_root=str(cars))
    assert sampling.groups == SAMPLE_GROUPS
    assert sampling.groups["construction_vehicle"] == 7
    assert set(sampling.groups) == set(DETECTION_CLASSES)


@pytest.mark.parametrize(("rate", "count"), [(1.0, 8), (0.5, 4), (0.0, 0)])
def test_the_rate_is_a_share_of_what_is_missing(cars, rate, count):
    assert names_of(sampled_by(cars, a_sample(), groups={"car": 8}, rate=rate)) == ["car"] * count


def test_no_object_is_added_twice_and_all_can_be(cars):
    boxes = sampled_by(cars, a_sample(), groups={"car": 50})["gt_bboxes_3d"]
    np.testing.assert_allclose(sorted(boxes.gravity_center[:, 0].tolist()), [p[0] for p in PLACES], atol=1e-5)


def test_draws_follow_the_global_generator_that_the_loader_seeds(cars):
    sampling = GroundTruthSampling(data_root=str(cars), groups={"car": 2})
    centers = []
    for seed in (1, 1, 2, 3, 4):
        np.random.seed(seed)
        centers.append(sampling(a_sample())["gt_bboxes_3d"].gravity_center[:, 0].tolist())
    assert centers[0] == centers[1]
    assert len({tuple(c) for c in centers}) > 1


def test_boxes_and_velocities_are_those_of_the_database(cars):
    results = sampled_by(cars, a_sample(), groups={"car": 10, "traffic_cone": 10})
    boxes = results["gt_bboxes_3d"]
    is_car = np.array(names_of(results)) == "car"
    order = boxes.tensor[is_car, 0].argsort()
    found = torch.cat([boxes.gravity_center[is_car], boxes.tensor[is_car, 3:7]], dim=1)[order]
    np.testing.assert_allclose(found, PLACES, atol=1e-5)
    assert boxes.tensor[is_car, 7:].tolist() == [[1.0, 2.0]] * 10
    assert boxes.tensor[~is_car, 7:].isnan().all()


def test_points_of_the_scene_give_way_to_those_of_the_object(cars):
    sample = a_sample()
    before = sample["points"].tensor.clone().numpy()
    results = sampled_by(cars, sample, groups={"car": 10})
    after = results["points"].tensor.numpy()
    inside = np.concatenate([points_in_box(before[:, :3], np.array(box)) for box in PLACES])
    assert len(inside) > 5
    new = after[after[:, 3] == 777]
    np.testing.assert_array_equal(after[after[:, 3] != 777], np.delete(before, inside, axis=0))
    # First, so that a limit on the number of voxels does not take them away.
    np.testing.assert_array_equal(after[: len(new)], new)
    assert len(new) == 10 * 20
    assert set(np.round(new[:, 4], 3)) == {0.0, np.float32(0.1)}
    for box in PLACES:
        assert len(points_in_box(new[:, :3], np.array(box))) == 20


@pytest.mark.parametrize(("lag", "kept"), [(0.0, 10), (0.09, 20), (0.45, 20)])
def test_points_older_than_the_scene_are_left_out(cars, lag, kept):
    after = sampled_by(cars, a_sample(lag=lag), groups={"car": 1})["points"].tensor
    assert (after[:, 3] == 777).sum() == kept


def test_objects_with_few_points_are_not_added(tmp_path):
    write_gt_database(
        tmp_path / "db",
        [gt_object("car", PLACES[0], num_points=4), gt_object("car", PLACES[1], num_points=5)],
    )
    boxes = sampled_by(tmp_path, a_sample(), database="db", groups={"car": 2})["gt_bboxes_3d"]
    np.testing.assert_allclose(boxes.gravity_center[:, 0], [PLACES[1][0]], atol=1e-5)


def test_an_object_that_overlaps_one_of_the_frame_is_not_added(cars):
    blockers = [[x + 1.0, y, z, 3, 1, 1, 1.0] for x, y, z, *_ in PLACES[:9]]
    results = sampled_by(cars, a_sample(blockers, ["truck"] * 9), groups={"car": 10})
    assert names_of(results) == ["truck"] * 9 + ["car"]
    np.testing.assert_allclose(results["gt_bboxes_3d"].gravity_center[-1, 0], PLACES[9][0], atol=1e-5)


def test_of_overlapping_objects_one_is_added(tmp_path):
    write_gt_database(tmp_path / "db", [gt_object("car", PLACES[0]), gt_object("truck", PLACES[0])])
    names = names_of(sampled_by(tmp_path, a_sample(), database="db", groups={"truck": 1, "car": 1}))
    assert names == ["truck"]


def test_collisions_are_those_of_polygons():
    rng = np.random.default_rng(0)
    boxes = np.concatenate(
        [
            rng.uniform(-8, 8, (40, 2)),
            rng.uniform(-1, 1, (40, 1)),
            rng.uniform(0.3, 6, (40, 3)),
            rng.uniform(-4, 4, (40, 1)),
        ],
        axis=1,
    )
    fixed, drawn = boxes[:4], boxes[4:]
    corners = box_corners(torch.from_numpy(boxes))[:, [0, 1, 3, 2], :2].numpy()
    accepted = [Polygon(c) for c in corners[:4]]
    expected = []
    for polygon in map(Polygon, corners[4:]):
        expected.append(all(polygon.intersection(other).area == 0 for other in accepted))
        accepted += [polygon] if expected[-1] else []
    assert free_of_collision(fixed, drawn).tolist() == expected
    assert 3 < sum(expected) < 30


def test_boxes_inside_each_other_collide():
    large, small = [0.0, 0, 0, 10, 5, 2, 0.4], [0.2, 0.1, 0, 1, 0.5, 2, 1.3]
    assert not free_of_collision(np.array([large]), np.array([small]))[0]
    assert not free_of_collision(np.array([small]), np.array([large]))[0]


def test_an_angle_turns_counter_clockwise():
    # Two long boxes side by side at 45°: parallel ones are apart, one turned the other way crosses.
    along = np.array([[0.0, 0, 0, 10, 1, 1, np.pi / 4]])
    beside = np.array([[2.0, -2.0, 0, 10, 1, 1, np.pi / 4], [2.0, -2.0, 0, 10, 1, 1, -np.pi / 4]])
    assert free_of_collision(along, beside[:1]).tolist() == [True]
    assert free_of_collision(along, beside[1:]).tolist() == [False]
    # Clockwise the first two would be the same picture mirrored; this one tells.
    ahead = np.array([[4.0, 4.0, 0, 1, 1, 1, 0]])
    assert free_of_collision(along, ahead).tolist() == [False]
    assert free_of_collision(along, ahead * np.array([1, -1, 1, 1, 1, 1, 1])).tolist() == [True]


def test_nothing_to_add_to_or_from():
    assert free_of_collision(np.zeros((0, 7)), np.zeros((0, 7))).tolist() == []
    assert free_of_collision(np.zeros((0, 7)), np.array(PLACES)).all()


def test_boxes_without_velocity_stay_without(cars):
    sample = a_sample()
    sample["gt_bboxes_3d"] = LiDARInstance3DBoxes(np.zeros((0, 7), dtype=np.float32), box_dim=7)
    assert sampled_by(cars, sample, groups={"car": 3})["gt_bboxes_3d"].tensor.shape == (3, 7)


def test_a_copy_in_another_process_draws_the_same_and_carries_no_open_file(cars):
    sampling = GroundTruthSampling(data_root=str(cars), groups={"car": 3})
    content = pickle.dumps(sampling.tables) + pickle.dumps(sampling.files)
    assert len(content) < 10_000
    again = copy.deepcopy(sampling)
    results = []
    for transform in (sampling, again):
        np.random.seed(5)
        results.append(transform(a_sample()))
    assert torch.equal(results[0]["points"].tensor, results[1]["points"].tensor)


def test_after_augmentation_it_refuses_to_sample(cars):
    sample = UnifiedRotScaleTransFlip(rotation=(0.1, 0.1))(a_sample())
    with pytest.raises(ValueError, match="comes before augmentation, but lidar_aug is not the identity"):
        sampled_by(cars, sample)


@pytest.mark.parametrize("key", ["points", "gt_bboxes_3d"])
def test_what_is_missing_is_named(cars, key):
    sample = a_sample()
    del sample[key]
    with pytest.raises(ValueError, match=rf"GroundTruthSampling needs \['{key}'\]"):
        sampled_by(cars, sample)


def test_wrong_classes_databases_and_files_are_named(cars):
    with pytest.raises(ValueError, match=r"groups: \['cars'\] are not in the classes of the data set"):
        GroundTruthSampling(data_root=str(cars), groups={"cars": 2})
    with pytest.raises(ValueError, match=r"nuscenes_gt_database_train has no pictures; make it with --image-crops"):
        GroundTruthSampling(data_root=str(cars), images=True)
    with pytest.raises(FileNotFoundError, match=r"holds no finished ground-truth database"):
        GroundTruthSampling(data_root=str(cars), database="nothing")
    (cars / "nuscenes_gt_database_train" / "lidar_car.bin").write_bytes(b"1234")
    sampling = GroundTruthSampling(data_root=str(cars), groups={"car": 10})
    with pytest.raises(DataFileError, match=r"lidar_car\.bin ends before the points"):
        sampling(a_sample())


def test_a_database_without_pictures_is_read(cars):
    database = GroundTruthDatabase(cars / "nuscenes_gt_database_train")
    assert not database.has_crops
    assert database.crop(database.objects["car"][0]) is None
