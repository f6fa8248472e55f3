"""The official detection score, of a synthetic data set that the devkit opens."""

import json
import logging
import math
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmdet3d.structures import CameraInstance3DBoxes, LiDARInstance3DBoxes
from mmengine.logging import MMLogger
from nuscenes import NuScenes
from nuscenes.eval.detection.config import config_factory
from nuscenes.eval.detection.data_classes import DetectionMetrics
from nuscenes.eval.detection.evaluate import DetectionEval

from ponderv2.datasets import PonderNuScenesDetDataset, load_info_file
from ponderv2.datasets.info_file import InfoFileError
from ponderv2.evaluation import DetectionScore, PonderNuScenesMetric
from ponderv2.evaluation.nuscenes_score import ERRORS
from ponderv2.evaluation.submission import attribute_of
from ponderv2.heads.uvtr.box_code import boxes_with_velocity, decode_boxes, encode_boxes, lidar_boxes

VAL = "nuscenes_infos_val.pkl"


@pytest.fixture(scope="session")
def dataset(streets: Path) -> PonderNuScenesDetDataset:
    return PonderNuScenesDetDataset(data_root=str(streets), ann_file=VAL, pipeline=[])


@pytest.fixture
def truth(dataset: PonderNuScenesDetDataset) -> list[dict]:
    """The ground truth as if it were predicted, a dict a sample as mmengine's evaluator hands it over."""
    return [_as_prediction(dataset.get_data_info(k)) for k in range(len(dataset))]


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Messages of mmengine's logger, which hands nothing on to other loggers."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


def _as_prediction(frame: dict) -> dict:
    boxes = frame["ann_info"]["gt_bboxes_3d"].clone()
    # A prediction has to say some velocity; the devkit does not compare unknown ones.
    boxes.tensor[:, 7:] = boxes.tensor[:, 7:].nan_to_num(0.0)
    labels = torch.as_tensor(frame["ann_info"]["gt_labels_3d"])
    found = {"bboxes_3d": boxes, "scores_3d": torch.full((len(labels),), 0.5), "labels_3d": labels}
    return {"token": frame["token"], "sample_idx": frame["sample_idx"], "pred_instances_3d": found}


@pytest.fixture
def scored(streets: Path, dataset: PonderNuScenesDetDataset):
    """Scores predictions; arguments are those of the metric."""

    def score(samples: list[dict], ann_file: str = VAL, **arguments) -> dict[str, float]:
        metric = PonderNuScenesMetric(data_root=str(streets), ann_file=ann_file, **arguments)
        metric.dataset_meta = dataset.metainfo
        metric.process(None, samples)
        return metric.evaluate(len(dataset))

    return score


def _assert_no_errors(scores: dict[str, float]) -> None:
    for key in ("mATE", "mASE"):
        assert scores[f"nuscenes/{key}"] == pytest.approx(0.0, abs=1e-5)
    # The car tilts a little; a box that is upright in the LiDAR frame is then not quite so in the global one.
    for key in ("mAOE", "mAVE"):
        assert scores[f"nuscenes/{key}"] == pytest.approx(0.0, abs=3e-3)


def test_ground_truth_scores_one_and_has_no_errors(scored, truth):
    scores = scored(truth)
    for key in ("mAP", "mAP_occurring", "car_AP", "traffic_cone_AP"):
        assert scores[f"nuscenes/{key}"] == pytest.approx(1.0)
    _assert_no_errors(scores)


def test_ground_truth_through_the_code_of_the_head_still_scores_one(scored, truth):
    for sample in truth:
        boxes = sample["pred_instances_3d"]["bboxes_3d"]
        decoded = lidar_boxes(decode_boxes(encode_boxes(boxes_with_velocity(boxes))))
        sample["pred_instances_3d"]["bboxes_3d"] = decoded
    scores = scored(truth)
    assert scores["nuscenes/mAP"] == pytest.approx(1.0)
    _assert_no_errors(scores)


def test_officially_an_absent_class_counts_as_nothing_found(scored, truth, dataset):
    barrier = dataset.metainfo["classes"].index("barrier")
    for sample in truth:
        found = sample["pred_instances_3d"]
        keep = found["labels_3d"] != barrier
        sample["pred_instances_3d"] = {key: value[keep] for key, value in found.items()}
    scores = scored(truth)
    assert scores["nuscenes/barrier_AP"] == 0
    assert scores["nuscenes/mAP"] == pytest.approx(0.9)
    assert scores["nuscenes/mASE"] == pytest.approx(0.1, abs=1e-3)


def test_the_mean_over_occurring_classes_leaves_absent_ones_out():
    metrics = DetectionMetrics(config_factory("detection_cvpr_2019"))
    for name in metrics.cfg.class_names:
        for distance in metrics.cfg.dist_ths:
            metrics.add_label_ap(name, distance, 0.5 if name in ("car", "bus") else 0.0)
        for error in ERRORS:
            metrics.add_label_tp(name, error, 1.0)
    truth = {name: 3 * (name in ("car", "bus", "truck")) for name in metrics.cfg.class_names}
    flat = DetectionScore(metrics, truth).flat()
    assert flat["mAP"] == pytest.approx(0.1)
    assert flat["mAP_occurring"] == pytest.approx(1 / 3)
    assert "no ground truth, counted as AP 0 and errors 1: trailer, " in DetectionScore(metrics, truth).table()


def test_the_numbers_are_those_of_the_devkits_own_run(scored, truth, streets, tmp_path):
    generator = torch.Generator().manual_seed(0)
    for sample in truth:
        found = sample["pred_instances_3d"]
        found["bboxes_3d"].tensor[:, :2] += torch.randn(len(found["scores_3d"]), 2, generator=generator)
        found["scores_3d"] = torch.rand(len(found["scores_3d"]), generator=generator)
    ours = scored(truth, submission_dir=str(tmp_path), sensors=("camera", "lidar"))
    evaluation = DetectionEval(
        NuScenes("v1.0-mini", str(streets), verbose=False),
        config_factory("detection_cvpr_2019"),
        str(tmp_path / "results_nusc.json"),
        "mini_val",
        str(tmp_path / "official"),
        verbose=False,
    )
    official = evaluation.main(render_curves=False)
    assert 0.05 < official["mean_ap"] < 0.95
    assert ours["nuscenes/NDS"] == official["nd_score"]
    assert ours["nuscenes/mAP"] == official["mean_ap"]
    assert ours["nuscenes/mAVE"] == official["tp_errors"]["vel_err"]
    assert ours["nuscenes/car_AP"] == official["mean_dist_aps"]["car"]
    summary = json.loads((tmp_path / "metrics_summary.json").read_text())
    assert summary["nd_score"] == official["nd_score"]
    assert summary["meta"] == official["meta"]
    assert official["meta"]["use_camera"]
    assert not official["meta"]["use_radar"]


def test_swapped_width_and_length_cost_scale_and_not_map(scored, truth):
    right = scored(truth)
    for sample in truth:
        boxes = sample["pred_instances_3d"]["bboxes_3d"].tensor
        boxes[:, 3:5] = boxes[:, [4, 3]]
    wrong = scored(truth)
    assert wrong["nuscenes/mAP"] == right["nuscenes/mAP"]
    assert wrong["nuscenes/mASE"] > right["nuscenes/mASE"] + 0.2


def test_a_quarter_turn_costs_orientation_and_not_map(scored, truth):
    right = scored(truth)
    for sample in truth:
        sample["pred_instances_3d"]["bboxes_3d"].tensor[:, 6] += math.pi / 2
    wrong = scored(truth)
    assert wrong["nuscenes/mAP"] == right["nuscenes/mAP"]
    assert wrong["nuscenes/mAOE"] > right["nuscenes/mAOE"] + 0.5


def _emptied(sample: dict) -> dict:
    found = sample["pred_instances_3d"]
    return sample | {"pred_instances_3d": {key: value[:0] for key, value in found.items()}}


def test_no_box_in_any_sample_is_map_and_nds_0(scored, truth):
    scores = scored([_emptied(sample) for sample in truth])
    assert scores["nuscenes/mAP"] == 0
    assert scores["nuscenes/NDS"] == 0
    assert scores["nuscenes/mATE"] == 1


def test_no_box_in_one_sample_only_costs_recall(scored, truth):
    scores = scored([_emptied(truth[0]), *truth[1:]])
    assert 0.3 < scores["nuscenes/mAP_occurring"] < 1


def test_samples_that_come_twice_count_once(scored, truth):
    assert scored([*truth, *truth]) == scored(truth)


def test_missing_samples_are_one_error_that_says_which_setting(scored, truth):
    with pytest.raises(ValueError, match=r"1 of the 2 samples of mini_val .*load_interval=1, fraction=1\.0"):
        scored(truth[1:])


def test_part_of_a_split_is_scored_when_asked_for_with_a_warning(scored, truth, logged):
    scores = scored(truth[1:], partial=True)
    assert scores["nuscenes/mAP_occurring"] == pytest.approx(1.0)
    assert "scored are 1 samples of mini_val only: these are not official numbers" in logged


def test_the_best_500_boxes_in_range_are_kept(scored, truth, tmp_path):
    found = truth[0]["pred_instances_3d"]
    boxes = found["bboxes_3d"].tensor[:1].repeat(600, 1)
    boxes[:, :2] = torch.tensor([5.0, 0.0])
    boxes[590:, :2] = 200.0
    scores = torch.linspace(0.1, 0.9, 600)
    truth[0]["pred_instances_3d"] = {
        "bboxes_3d": LiDARInstance3DBoxes(boxes, box_dim=9),
        "scores_3d": scores,
        "labels_3d": torch.zeros(600, dtype=torch.long),
    }
    scored(truth, submission_dir=str(tmp_path))
    written = json.loads((tmp_path / "results_nusc.json").read_text())["results"][truth[0]["token"]]
    assert [box["detection_score"] for box in written] == pytest.approx(scores[90:590].flip(0).tolist())


def test_the_training_split_can_be_scored_as_well(scored, streets):
    train = PonderNuScenesDetDataset(data_root=str(streets), ann_file="nuscenes_infos_train.pkl", pipeline=[])
    samples = [_as_prediction(train.get_data_info(k)) for k in range(len(train))]
    assert scored(samples, "nuscenes_infos_train.pkl")["nuscenes/mAP_occurring"] == pytest.approx(1.0)


def test_a_test_version_writes_the_submission_and_stops(truth, dataset, streets, tmp_path):
    info = load_info_file(streets / VAL)
    info["metainfo"]["version"] = "v1.0-test"
    (tmp_path / "infos.pkl").write_bytes(pickle.dumps(info))
    metric = PonderNuScenesMetric(str(tmp_path), "infos.pkl", submission_dir=str(tmp_path / "out"))
    metric.dataset_meta = dataset.metainfo | {"version": "v1.0-test"}
    metric.process(None, truth)
    assert metric.evaluate(2) == {}
    written = json.loads((tmp_path / "out" / "results_nusc.json").read_text())
    assert set(written["results"]) == {sample["token"] for sample in truth}
    assert written["meta"] == {f"use_{k}": k == "lidar" for k in ("camera", "lidar", "radar", "map", "external")}
    metric = PonderNuScenesMetric(str(tmp_path), "infos.pkl")
    metric.dataset_meta = dataset.metainfo | {"version": "v1.0-test"}
    with pytest.raises(ValueError, match="submission_dir"):
        metric.process(None, truth)


def test_key_frames_without_a_pose_are_refused_at_the_first_sample(truth, streets, tmp_path):
    info = load_info_file(streets / VAL)
    del info["data_list"][1]["ego2global"]
    (tmp_path / "infos.pkl").write_bytes(pickle.dumps(info))
    with pytest.raises(InfoFileError, match=r"infos\.pkl, key frame \w+: \['ego2global'\] are missing"):
        PonderNuScenesMetric(str(tmp_path), "infos.pkl").process(None, truth)


def _no_prediction(sample: dict) -> None:
    del sample["pred_instances_3d"]


def _no_token(sample: dict) -> None:
    del sample["token"]


def _strange_token(sample: dict) -> None:
    sample["token"] = "strange"


def _camera_boxes(sample: dict) -> None:
    sample["pred_instances_3d"]["bboxes_3d"] = CameraInstance3DBoxes(torch.ones(1, 9), box_dim=9)


def _nan_score(sample: dict) -> None:
    sample["pred_instances_3d"]["scores_3d"][2] = math.nan


def _infinite_velocity(sample: dict) -> None:
    sample["pred_instances_3d"]["bboxes_3d"].tensor[1, 8] = math.inf


def _flat_box(sample: dict) -> None:
    sample["pred_instances_3d"]["bboxes_3d"].tensor[0, 5] = 0.0


def _eleventh_class(sample: dict) -> None:
    sample["pred_instances_3d"]["labels_3d"][0] = 10


def _missing_score(sample: dict) -> None:
    sample["pred_instances_3d"]["scores_3d"] = sample["pred_instances_3d"]["scores_3d"][1:]


def _augmented(sample: dict) -> None:
    sample["lidar_aug"] = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0])).numpy()


BAD = [
    (_no_prediction, "expected pred_instances_3d"),
    (_no_token, "has no token"),
    (_strange_token, "sample strange was predicted, but .*nuscenes_infos_val.pkl does not have it"),
    (_camera_boxes, "CameraInstance3DBoxes"),
    (_nan_score, "1 of .* scores_3d are not finite"),
    (_infinite_velocity, "1 of .* bboxes_3d are not finite"),
    (_flat_box, "expected positive metres"),
    (_eleventh_class, "expected 10 classes"),
    (_missing_score, "boxes, .* scores"),
    (_augmented, "lidar_aug is not the identity"),
]


@pytest.mark.parametrize(("spoil", "words"), BAD, ids=[spoil.__name__ for spoil, _ in BAD])
def test_what_cannot_be_scored_is_one_clear_error(scored, truth, spoil, words):
    spoil(truth[0])
    with pytest.raises(ValueError, match=words):
        scored(truth)


def test_an_unknown_sensor_or_class_is_named(scored, truth, streets):
    with pytest.raises(ValueError, match="sonar"):
        scored(truth, sensors=("sonar",))
    metric = PonderNuScenesMetric(str(streets), VAL)
    metric.dataset_meta = {"classes": ("car", "tram")}
    with pytest.raises(ValueError, match="tram"):
        metric.process(None, truth)


@pytest.mark.parametrize(
    ("name", "slow", "fast"),
    [
        ("car", "vehicle.parked", "vehicle.moving"),
        ("bus", "vehicle.stopped", "vehicle.moving"),
        ("bicycle", "cycle.without_rider", "cycle.with_rider"),
        ("pedestrian", "pedestrian.standing", "pedestrian.moving"),
        ("barrier", "", ""),
    ],
)
def test_attributes_follow_from_speed(name, slow, fast):
    assert (attribute_of(name, 0.1), attribute_of(name, 0.3)) == (slow, fast)


def test_the_log_has_a_row_a_class(scored, truth, logged):
    scored(truth)
    rows = [line.split("|") for line in logged[-1].splitlines() if line.startswith("|")]
    assert len(rows) == 13
    car = next(row for row in rows if row[1].strip() == "car")
    assert car[3].strip() == "1.000"
    cone = next(row for row in rows if row[1].strip() == "traffic_cone")
    assert cone[-2].strip() == "–"
