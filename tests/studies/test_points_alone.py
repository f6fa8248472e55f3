"""The classifier of single points: it tells what a point's own values tell, and no more."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.eval.lidarseg.utils import LidarsegClassMapper
from nuscenes.utils.splits import create_splits_scenes

from studies import points_alone
from studies.points_alone import LabelledPoints, PointClassifier, features_of, points_entry, score_points
from studies.runs import StudyError
from synthetic_nuscenes.views.points_in_car import labels_of


def _points(counts: dict[int, int], rng: np.random.Generator) -> LabelledPoints:
    """Classes with intensities of their own, 10 apart; height and range are noise."""
    classes = np.concatenate([np.full(count, label) for label, count in counts.items()])
    features = rng.normal(size=(len(classes), 3))
    features[:, 2] += 10 * classes
    return LabelledPoints(features, classes, np.ones(len(classes)))


def test_classes_that_differ_in_one_value_are_told_apart():
    rng = np.random.default_rng(0)
    classifier = PointClassifier(_points({1: 300, 4: 300, 16: 300}, rng), seed=0)
    test = _points({1: 50, 4: 50, 16: 50}, rng)
    assert (classifier.predict(test.features) == test.classes).mean() > 0.99


def test_weights_keep_a_rare_class_that_overlaps_with_a_frequent_one(monkeypatch):
    rng = np.random.default_rng(0)
    classes = np.repeat([1, 2], [2000, 60])
    features = rng.normal(size=(len(classes), 3)) + np.where(classes == 2, 1.5, 0.0)[:, None]
    points = LabelledPoints(features, classes, np.where(classes == 1, 10.0, 1.0))
    chosen = PointClassifier(points, seed=0)
    monkeypatch.setattr(points_alone, "_POWERS", (0.5,))
    # Weights and power cancel there: the classifier of true shares.
    plain = PointClassifier(points, seed=0)
    found = [(classifier.predict(features) == 2).sum() for classifier in (chosen, plain)]
    assert found[0] >= found[1]
    assert points_alone._weighted_iou(points, chosen.predict(features)) >= points_alone._weighted_iou(
        points, plain.predict(features)
    )


def test_the_mean_iou_counts_each_point_by_its_weight():
    points = LabelledPoints(np.zeros((3, 3)), np.array([1, 1, 2]), np.array([1.0, 3.0, 2.0]))
    # Of class 1 a weight of 3 in a union of 4; of class 2 a weight of 2 in a union of 3.
    assert points_alone._weighted_iou(points, np.array([2, 1, 2])) == pytest.approx((3 / 4 + 2 / 3) / 2)


def test_points_of_one_class_are_refused():
    with pytest.raises(StudyError, match="fewer than two classes"):
        PointClassifier(_points({4: 10}, np.random.default_rng(0)), seed=0)


@pytest.fixture(scope="module")
def tables(streets) -> NuScenes:
    return NuScenes("v1.0-mini", str(streets), verbose=False)


def _tokens(tables: NuScenes, split: str) -> list[str]:
    names = create_splits_scenes()[split]
    return [s["token"] for s in tables.sample if tables.get("scene", s["scene_token"])["name"] in names]


def test_features_are_height_range_and_intensity_in_the_cars_frame(tables):
    sample = tables.sample[0]
    features = features_of(tables, sample)
    stored = np.fromfile(tables.get_sample_data_path(sample["data"]["LIDAR_TOP"]), np.float32).reshape(-1, 5)
    np.testing.assert_allclose(features[:, 2], stored[:, 3])
    # The road is at height zero; of other ground, such as pavements, there may be more around the car.
    mapper = LidarsegClassMapper(tables)
    road = mapper.coarse_name_2_coarse_idx_mapping["driveable_surface"]
    on_road = labels_of(tables, mapper, sample["data"]["LIDAR_TOP"]) == road
    assert abs(np.median(features[on_road & (features[:, 1] < 15), 0])) < 0.05
    assert features[:, 1].min() > 0.5


def test_frames_are_scored_beside_the_most_frequent_class(tables, monkeypatch):
    monkeypatch.setattr(points_alone, "ROUNDS", 5)
    monkeypatch.setattr(points_alone, "POINTS_A_CLASS", 400)
    train, val = _tokens(tables, "mini_train"), _tokens(tables, "mini_val")
    found = score_points(tables, train, val)
    assert len(found["classes"]) == 16
    known = [value for value in found["classes"].values() if value is not None]
    assert found["mIoU"] == pytest.approx(np.mean(known))
    assert found["most_frequent"]["class"] == "driveable_surface"
    assert 0 < found["most_frequent"]["mIoU"] < 1 / 8
    assert found["most_frequent"]["mIoU"] < found["mIoU"] < 1
    assert (found["labelled_frames"], found["scored_frames"]) == (2, 2)
    assert score_points(tables, train, val) == found
    assert score_points(tables, train, val, seed=1) != found


def test_a_data_set_without_labels_of_points_is_refused(streets, tmp_path):
    shutil.copytree(streets / "v1.0-mini", tmp_path / "v1.0-mini")
    (tmp_path / "v1.0-mini" / "lidarseg.json").unlink()
    (tmp_path / "maps").symlink_to(Path(streets) / "maps")
    with pytest.raises(StudyError, match=r"has no lidarseg labels \(v1\.0-mini/lidarseg\.json\)"):
        score_points(NuScenes("v1.0-mini", str(tmp_path), verbose=False), ["a"], ["b"])


def test_every_number_of_several_seeds_is_their_mean():
    common = {"features": ["height"], "weights": "w", "labelled_frames": 4, "scored_frames": 2}
    found = [
        common
        | {"mIoU": 0.2, "classes": {"car": 0.1, "bus": None}, "power": 0.5, "points": 10}
        | {"most_frequent": {"class": "road", "mIoU": 0.02}},
        common
        | {"mIoU": 0.4, "classes": {"car": 0.3, "bus": 0.2}, "power": 0.0, "points": 20}
        | {"most_frequent": {"class": "road", "mIoU": 0.04}},
    ]
    entry = points_entry(found, 0.1, (3, 4))
    assert entry["mIoU"] == pytest.approx(0.3)
    assert entry["classes"] == pytest.approx({"car": 0.2, "bus": 0.2})
    assert entry["most_frequent"] == {"class": "road", "mIoU": pytest.approx(0.03)}
    assert (entry["power"], entry["points"]) == (0.25, 15)
    assert (entry["n"], entry["seeds"], entry["labelled_frames"]) == (2, [3, 4], 4)
    assert (entry["features"], entry["values"]) == (["height"], [0.2, 0.4])
