"""The constant predictor: what is reached without looking, from labels alone."""

import copy
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from ponderv2.datasets import DETECTION_CLASSES
from ponderv2.engine import load_config
from studies.constant_fit import PLACE_SPREAD, LabelledFrame, fit_constant
from studies.constant_predictor import score_constant

CAR = DETECTION_CLASSES.index("car")
CONE = DETECTION_CLASSES.index("traffic_cone")
RECIPE = Path("configs/tiny/uvtr_lidar_synthetic_head_first.py")


def _box(x: float, y: float, yaw: float = 0.3, velocity: tuple[float, float] = (0.0, 0.0)) -> list[float]:
    return [x, y, 0.5, 4.0, 2.0, 1.5, yaw, *velocity]


def _frame(*boxes: list[float], label: int = CAR) -> LabelledFrame:
    return LabelledFrame(np.array(boxes).reshape(-1, 9), np.full(len(boxes), label))


def test_a_car_that_stands_in_every_frame_is_the_first_and_nearly_certain_box():
    found = fit_constant([_frame(_box(10, 5), _box(-20.0 - 4 * k, 3.0 * k)) for k in range(6)], DETECTION_CLASSES)
    np.testing.assert_allclose(found.boxes[0], _box(10, 5))
    assert found.scores[0] > 2 * found.scores[1:].max()
    assert (np.diff(found.scores) <= 1e-12).all()


def test_a_place_is_chosen_twice_only_where_two_objects_stand():
    alone = fit_constant([_frame(_box(10, 5)) for _ in range(6)], DETECTION_CLASSES)
    assert len(alone.scores) == 1
    two = fit_constant([_frame(_box(10, 5), _box(13, 5)) for _ in range(6)], DETECTION_CLASSES)
    np.testing.assert_allclose(sorted(two.boxes[:, 0]), [10, 13])
    # The second car is as likely as the first, less the chance that its match was the first one's.
    assert 0.6 < two.scores[1] / two.scores[0] < 1


def test_heading_and_velocity_are_those_of_most_and_unknown_ones_do_not_count():
    unknown = (np.nan, np.nan)
    frames = [_frame(_box(10, 5, yaw, v)) for yaw, v in [(3.1, (0, 2)), (-3.1, (0, 2)), (3.1, unknown), (0, (9, 9))]]
    found = fit_constant(frames, DETECTION_CLASSES)
    assert abs(found.boxes[0, 6]) == 3.1
    np.testing.assert_allclose(found.boxes[0, 7:], (0, 2))
    nowhere = fit_constant([_frame(_box(10, 5, 0.0, unknown))], DETECTION_CLASSES)
    np.testing.assert_allclose(nowhere.boxes[0, 7:], 0)


def test_boxes_beyond_what_the_devkit_counts_take_no_place():
    found = fit_constant([_frame(_box(45, 0), label=CAR), _frame(_box(45, 0), label=CONE)], DETECTION_CLASSES)
    assert found.labels.tolist() == [CAR]


def test_at_most_500_boxes_are_shared_by_the_classes():
    random = np.random.default_rng(0)
    places = random.uniform(-25, 25, (8, 100, 2))
    frames = [LabelledFrame(np.array([_box(*place) for place in frame]), np.arange(100) % 2 * CONE) for frame in places]
    found = fit_constant(frames, DETECTION_CLASSES)
    assert np.bincount(found.labels)[[CAR, CONE]].tolist() == [250, 250]


def test_frames_without_boxes_give_none_and_no_frame_is_an_error():
    assert len(fit_constant([_frame()], DETECTION_CLASSES).scores) == 0
    with pytest.raises(ValueError, match="at least one labelled frame"):
        fit_constant([], DETECTION_CLASSES)


def _config(repository, root, **options):
    return load_config(repository / RECIPE, root, {f"train_dataloader.dataset.{k}": v for k, v in options.items()})


@pytest.fixture
def changed_streets(streets, tmp_path):
    """A copy of the streets' info files and tables, whose infos functions may change."""

    def change(name: str, *functions) -> Path:
        root = tmp_path / f"changed_{len(list(tmp_path.iterdir()))}"
        root.mkdir()
        for file in ("nuscenes_infos_train.pkl", "nuscenes_infos_val.pkl"):
            shutil.copy(streets / file, root / file)
        for folder in filter(Path.is_dir, streets.iterdir()):
            (root / folder.name).symlink_to(folder)
        info = pickle.loads((root / name).read_bytes())
        for function in functions:
            function(info)
        (root / name).write_bytes(pickle.dumps(info))
        return root

    return change


@pytest.fixture
def as_validation(streets):
    """Makes the labelled frames those that are scored: elsewhere constant boxes find nothing."""
    val = pickle.loads((streets / "nuscenes_infos_val.pkl").read_bytes())

    def change(info: dict) -> None:
        info["data_list"] = copy.deepcopy(val["data_list"])

    return change


def test_boxes_that_stand_still_around_the_car_are_found_with_an_ap_of_one(repository, streets, changed_streets):
    # The labels are those of a single frame, and so is what is scored: nothing else stands anywhere.
    val = pickle.loads((streets / "nuscenes_infos_val.pkl").read_bytes())

    def as_validation(info: dict) -> None:
        info["data_list"] = val["data_list"][:1]

    root = changed_streets("nuscenes_infos_train.pkl", as_validation)
    config = _config(repository, root)
    config.val_dataloader.dataset.ann_file = config.train_dataloader.dataset.ann_file
    config.val_evaluator.partial = True
    config.val_evaluator.ann_file = config.train_dataloader.dataset.ann_file
    scores = score_constant(config)
    assert scores["traffic_cone_AP"] == pytest.approx(1.0)
    assert scores["mAP_occurring"] > 0.95
    # A class that is absent counts as an error of 1 m.
    assert scores["mATE"] < 0.11


def test_the_score_is_the_same_twice_and_reads_no_label_of_a_validation_frame(
    repository, streets, changed_streets, as_validation
):
    labelled = changed_streets("nuscenes_infos_train.pkl", as_validation)
    scores = score_constant(_config(repository, labelled))
    assert {"mAP", "NDS", "mATE", "car_AP"} <= set(scores)
    # There are too few drives to choose by.
    assert scores["place_spread"] == PLACE_SPREAD
    assert scores["mAP"] > 0.1
    # Labels of one drive say nothing of another.
    assert score_constant(_config(repository, streets))["mAP"] < 0.05

    val = labelled / "nuscenes_infos_val.pkl"
    info = pickle.loads(val.read_bytes())
    for frame in info["data_list"]:
        frame["instances"] = []
    val.write_bytes(pickle.dumps(info))
    assert score_constant(_config(repository, labelled)) == scores


def test_only_the_labelled_share_is_read(repository, changed_streets, as_validation):
    share = {"fraction": 0.5, "fraction_seed": 3}
    labelled = changed_streets("nuscenes_infos_train.pkl", as_validation)
    scores = score_constant(_config(repository, labelled, **share))

    def without_the_other_half(info: dict) -> None:
        from ponderv2.datasets.label_fractions import choose_fraction

        kept = [frame["token"] for frame in choose_fraction(info["data_list"], 0.5, seed=3)]
        assert len(kept) == len(info["data_list"]) // 2
        for frame in info["data_list"]:
            if frame["token"] not in kept:
                frame["instances"] = []

    half = changed_streets("nuscenes_infos_train.pkl", as_validation, without_the_other_half)
    assert score_constant(_config(repository, half, **share)) == scores
    assert score_constant(_config(repository, labelled)) != scores
