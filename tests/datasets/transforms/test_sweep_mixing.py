"""Mixing of two frames: what comes from which, that labels stay with their points, and samples that are refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import RandomChoice

from ponderv2.datasets import (
    DETECTION_CLASSES,
    IGNORE_LABEL,
    LIDARSEG_CLASSES,
    GridSampling,
    GroundTruthSampling,
    LidarLaserMix,
    LidarPolarMix,
    LoadLidarSweeps,
    LoadPointLabels,
    PackSensorInputs,
    PonderNuScenesSegDataset,
    UnifiedRotScaleTransFlip,
)
from ponderv2.errors import UserError
from tests.factories.gt_database import gt_object, write_gt_database
from tests.factories.lidarseg import CAR_POINTS, INFO_NAME

LOAD = (LoadLidarSweeps(), LoadPointLabels())
CAR = LIDARSEG_CLASSES.index("car")


def dataset(root: Path, pipeline: tuple = LOAD, **options) -> PonderNuScenesSegDataset:
    return PonderNuScenesSegDataset(data_root=str(root), ann_file=INFO_NAME, pipeline=list(pipeline), **options)


def labeled_points(results: dict) -> set[tuple]:
    """Points with their labels; coordinates of random points are different everywhere."""
    points = results["points"].tensor.numpy().tolist()
    return {(*point, label) for point, label in zip(points, results["pts_semantic_mask"].tolist(), strict=True)}


@pytest.fixture(scope="module")
def everything(labeled_root) -> set[tuple]:
    """The points of all frames with their labels."""
    frames = dataset(labeled_root)
    return set().union(*(labeled_points(frames[k]) for k in range(len(frames))))


def mixed(root: Path, mixing: Callable, index: int = 0, seed: int = 0, **options) -> dict:
    np.random.seed(seed)
    return dataset(root, (*LOAD, mixing), **options)[index]


def inclination(points: np.ndarray) -> np.ndarray:
    return np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))


def test_bands_of_inclination_come_from_the_two_frames_in_turn(labeled_root, everything):
    own = labeled_points(dataset(labeled_root)[0])
    results = mixed(labeled_root, LidarLaserMix(LOAD, num_areas=(4,)), seed=3)
    found = labeled_points(results)
    assert found <= everything
    points = results["points"].tensor.numpy()
    from_own = np.array([tuple(p) in {o[:5] for o in own} for p in points.tolist()])
    # Four bands of 10 degrees from the top, 10 to -30; what lies beyond counts to the outer ones.
    band = np.floor((10 - inclination(points).clip(-29.99, 9.99)) / 10).astype(int)
    assert {0, 1, 2} <= set(band.tolist())
    np.testing.assert_array_equal(from_own, band % 2 == 0)


def test_half_of_the_azimuths_and_the_objects_come_from_another_frame(labeled_root, everything):
    mixing = LidarPolarMix(LOAD, instance_classes=("car",), swap_prob=1.0)
    for seed in range(5):
        results = mixed(labeled_root, mixing, seed=seed)
        added = 3 * CAR_POINTS
        labels = results["pts_semantic_mask"]
        assert (labels[-added:] == CAR).all()
        # All but the two turned copies are points of one of the frames, with their labels.
        points = results["points"].tensor.numpy()[: -2 * CAR_POINTS].tolist()
        assert {(*p, label) for p, label in zip(points, labels.tolist(), strict=False)} <= everything
        # A copy keeps its distances and heights.
        cars = results["points"].tensor.numpy()[-added:].reshape(3, CAR_POINTS, 5)
        for turned in cars[1:]:
            np.testing.assert_allclose(np.hypot(*turned.T[:2]), np.hypot(*cars[0].T[:2]), rtol=1e-5)
            np.testing.assert_array_equal(turned[:, 2:], cars[0][:, 2:])


def test_sectors_meet_without_overlap(labeled_root):
    own = {p[:5] for p in labeled_points(dataset(labeled_root)[0])}
    for seed in range(5):
        results = mixed(labeled_root, LidarPolarMix(LOAD, swap_prob=1.0, object_prob=0.0), seed=seed)
        points = results["points"].tensor.numpy()
        azimuth = np.arctan2(points[:, 1], points[:, 0])
        from_own = np.array([tuple(p) in own for p in points.tolist()])
        # Going round, points change from one frame to the other at most twice.
        changes = np.diff(from_own[np.argsort(azimuth)].astype(int), append=from_own[np.argsort(azimuth)][0])
        assert np.abs(changes).sum() <= 2


@pytest.mark.parametrize("mixing", [LidarLaserMix(LOAD), LidarPolarMix(LOAD)], ids=["laser", "polar"])
def test_the_other_frame_is_of_those_that_the_data_set_uses(labeled_root, mixing):
    own = dataset(labeled_root, fraction=0.25)
    assert len(own) == 1
    allowed = {p[3:] for p in labeled_points(own[0])}
    for seed in range(5):
        # Turned copies keep intensity, time lag and label.
        assert {p[3:] for p in labeled_points(mixed(labeled_root, mixing, seed=seed, fraction=0.25))} <= allowed


@pytest.mark.parametrize("mixing", [LidarLaserMix(LOAD), LidarPolarMix(LOAD)], ids=["laser", "polar"])
def test_weak_labels_stay_weak(labeled_root, mixing):
    weak = dict(fraction=0.1, fraction_by="points")
    frames = dataset(labeled_root, **weak)
    known = {p[3:] for k in range(4) for p in labeled_points(frames[k]) if p[5] != IGNORE_LABEL}
    for seed in range(5):
        found = labeled_points(mixed(labeled_root, mixing, seed=seed, **weak))
        assert {p[3:] for p in found if p[5] != IGNORE_LABEL} <= known


def test_without_luck_a_sample_is_left_alone(labeled_root):
    assert labeled_points(mixed(labeled_root, LidarLaserMix(LOAD, prob=0.0))) == labeled_points(
        dataset(labeled_root)[0]
    )


def test_one_of_several_mixings_is_chosen_and_the_result_is_packed(labeled_root):
    choice = RandomChoice([[LidarLaserMix(LOAD)], [LidarPolarMix(LOAD)]], prob=[0.5, 0.5])
    np.random.seed(0)
    packed = dataset(labeled_root, (*LOAD, choice, GridSampling(0.05), PackSensorInputs()))[1]
    assert len(packed["data_samples"].gt_pts_seg.pts_semantic_mask) == len(packed["inputs"]["points"])


@pytest.mark.parametrize("kind", [LidarLaserMix, LidarPolarMix])
class TestRefused:
    def test_samples_of_another_data_set(self, labeled_root, kind):
        results = dataset(labeled_root)[0]
        del results["dataset"]
        with pytest.raises(UserError, match=rf"{kind.__name__} draws another frame .* a PonderNuScenesSegDataset"):
            kind(LOAD)(results)

    def test_samples_to_predict(self, labeled_root, kind):
        load = (LoadLidarSweeps(), LoadPointLabels(evaluation=True), kind(LOAD))
        with pytest.raises(ValueError, match=rf"{kind.__name__} is for training"):
            dataset(labeled_root, load, test_mode=True)[0]

    def test_samples_with_cameras(self, labeled_root, kind):
        results = dataset(labeled_root)[0] | {"lidar2cam": np.eye(4)[None]}
        with pytest.raises(UserError, match="the cameras show one"):
            kind(LOAD)(results)

    def test_samples_that_are_augmented_already(self, labeled_root, kind):
        turn = UnifiedRotScaleTransFlip(rotation=(0.5, 0.6))
        with pytest.raises(ValueError, match="comes before augmentation, but lidar_aug is not the identity"):
            dataset(labeled_root, (*LOAD, turn, kind(LOAD)))[0]

    def test_no_steps_to_load_the_other_frame(self, kind):
        with pytest.raises(UserError, match="pre_transform: expected the steps that load"):
            kind([])


def test_a_class_that_is_none_is_refused():
    with pytest.raises(UserError, match=r"instance_classes: \['unicycle'\] are none of"):
        LidarPolarMix(LOAD, instance_classes=("car", "unicycle"))


# ------------------------------------------------------------------------------------- objects of a database


@pytest.fixture
def sampling(tmp_path: Path) -> GroundTruthSampling:
    boxes = [[12.0 * k - 54, 60.0, -1.0, 4.0, 1.8, 1.6, 0.0] for k in range(4)]
    objects = [gt_object(name, box) for name, box in zip(("truck", "truck", "bicycle", "bicycle"), boxes, strict=True)]
    write_gt_database(tmp_path / "nuscenes_gt_database_train", objects)
    return GroundTruthSampling(data_root=str(tmp_path), groups={"truck": 2, "bicycle": 1})


def with_boxes(results: dict) -> dict:
    results["gt_bboxes_3d"] = results["ann_info"]["gt_bboxes_3d"]
    results["gt_labels_3d"] = results["ann_info"]["gt_labels_3d"]
    return results


def test_sampled_objects_have_the_class_of_their_box_and_others_keep_their_labels(labeled_root, sampling, everything):
    np.random.seed(0)
    results = dataset(labeled_root, (*LOAD, with_boxes, sampling))[0]
    labels, points = results["pts_semantic_mask"], results["points"].tensor.numpy()
    assert len(labels) == len(points)
    added = points[:, 3] == 777.0
    # The sweep is a single one, so that of 20 points the ten with a lag are left out.
    trucks, bicycles = (LIDARSEG_CLASSES.index(name) for name in ("truck", "bicycle"))
    assert np.bincount(labels[added], minlength=16)[[trucks, bicycles]].tolist() == [20, 10]
    assert added.sum() == 30
    assert {(*p, label) for p, label in zip(points[~added].tolist(), labels[~added], strict=True)} <= everything


def test_points_near_the_bottom_of_a_box_may_be_of_the_ground_and_get_no_label(labeled_root, tmp_path):
    # The points of the factory's objects lie up to 0.2 m above and below their center.
    boxes = [[12.0 * k - 54, 60.0, -1.0, 4.0, 1.8, 0.4, 0.0] for k in range(4)]
    write_gt_database(tmp_path / "nuscenes_gt_database_train", [gt_object("truck", box) for box in boxes])
    sampling = GroundTruthSampling(data_root=str(tmp_path), groups={"truck": 4})
    np.random.seed(0)
    results = dataset(labeled_root, (*LOAD, with_boxes, sampling))[0]
    points, labels = results["points"].tensor.numpy(), results["pts_semantic_mask"]
    added = points[:, 3] == 777.0
    low = points[added, 2] < -1.0 - 0.1
    assert 0 < low.sum() < added.sum()
    assert (labels[added][low] == IGNORE_LABEL).all()
    assert (labels[added][~low] == LIDARSEG_CLASSES.index("truck")).all()


def test_weak_labels_are_not_filled_up_by_sampled_objects(labeled_root, sampling):
    frames = dataset(labeled_root, (*LOAD, with_boxes, sampling), fraction=0.1, fraction_by="points")
    with pytest.raises(UserError, match="take labels away that GroundTruthSampling would add"):
        frames[0]


def test_objects_are_not_sampled_into_what_is_predicted(labeled_root, sampling):
    results = with_boxes(dataset(labeled_root)[0])
    results = LoadPointLabels(evaluation=True)(LoadLidarSweeps()(results))
    with pytest.raises(ValueError, match="GroundTruthSampling is for training"):
        sampling(results)


def test_every_class_of_boxes_is_one_of_objects_that_are_added():
    assert LidarPolarMix(LOAD).instance_classes == sorted(LIDARSEG_CLASSES.index(name) for name in DETECTION_CLASSES)
