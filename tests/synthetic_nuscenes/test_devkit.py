"""The official devkit on a synthetic data set: it opens, and the ground truth scores as ground truth."""

import json
from pathlib import Path

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.can_bus.can_bus_api import NuScenesCanBus
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.detection.constants import DETECTION_NAMES, TP_METRICS
from nuscenes.eval.detection.evaluate import NuScenesEval
from nuscenes.eval.detection.utils import category_to_detection_name
from nuscenes.eval.lidarseg.evaluate import LidarSegEval
from nuscenes.eval.lidarseg.utils import LidarsegClassMapper
from nuscenes.utils.geometry_utils import points_in_box
from nuscenes.utils.splits import create_splits_scenes


@pytest.mark.parametrize("split", ["mini_train", "mini_val"])
def test_ground_truth_as_predictions_is_a_perfect_detector(
    synthetic_nuscenes: NuScenes, tmp_path: Path, split: str
) -> None:
    results = tmp_path / "results.json"
    modality = dict(use_camera=True, use_lidar=True, use_radar=False, use_map=False, use_external=False)
    truth = _ground_truth(synthetic_nuscenes, split)
    results.write_text(json.dumps({"meta": modality, "results": truth}))

    evaluation = NuScenesEval(
        synthetic_nuscenes,
        config_factory("detection_cvpr_2019"),
        str(results),
        split,
        output_dir=str(tmp_path),
        verbose=False,
    )
    metrics, _ = evaluation.evaluate()

    # Two drives do not hold every class; what they hold within its range is found.
    precision = metrics.mean_dist_aps
    assert sorted(precision) == sorted(DETECTION_NAMES)
    assert {round(precision[name], 9) for name in DETECTION_NAMES} <= {0.0, 1.0}
    there = {row["detection_name"] for rows in truth.values() for row in rows}
    assert {name for name in DETECTION_NAMES if precision[name] > 0} <= there
    assert precision["car"] == precision["pedestrian"] == pytest.approx(1.0)
    for name in there:
        if precision[name] > 0:
            errors = np.array([metrics.get_label_tp(name, error) for error in TP_METRICS])
            assert np.nanmax(errors) == pytest.approx(0.0, abs=1e-6)


def test_ground_truth_as_predictions_is_a_perfect_segmentor(
    synthetic_nuscenes: NuScenes, synthetic_root: Path, tmp_path: Path
) -> None:
    mapper = LidarsegClassMapper(synthetic_nuscenes)
    folder = tmp_path / "lidarseg" / "mini_val"
    folder.mkdir(parents=True)
    for sample in _samples(synthetic_nuscenes, "mini_val"):
        data = sample["data"]["LIDAR_TOP"]
        row = synthetic_nuscenes.get("lidarseg", data)
        labels = np.fromfile(synthetic_root / row["filename"], np.uint8)
        coarse = mapper.convert_label(labels)
        # Rain is noise, which the devkit ignores; predictions must have a class.
        assert (labels[coarse == 0] == 0).all()
        np.maximum(coarse, 1).astype(np.uint8).tofile(folder / f"{data}_lidarseg.bin")

    evaluation = LidarSegEval(synthetic_nuscenes, str(tmp_path), "mini_val", verbose=False)
    result = evaluation.evaluate()

    assert result["miou"] == pytest.approx(1.0)


def test_can_bus_messages_follow_the_ego_poses(synthetic_nuscenes: NuScenes, synthetic_root: Path) -> None:
    can_bus = NuScenesCanBus(str(synthetic_root))
    for scene in synthetic_nuscenes.scene:
        messages = can_bus.get_messages(scene["name"], "pose")
        sample = synthetic_nuscenes.get("sample", scene["last_sample_token"])
        pose = synthetic_nuscenes.get("ego_pose", sample["data"]["LIDAR_TOP"])
        nearest = min(messages, key=lambda m: abs(m["utime"] - sample["timestamp"]))
        assert abs(nearest["utime"] - sample["timestamp"]) <= 20_000
        np.testing.assert_allclose(nearest["pos"][:2], pose["translation"][:2], atol=0.3)
        np.testing.assert_allclose(nearest["orientation"], pose["rotation"], atol=0.03)


def test_counts_of_points_are_those_of_the_devkit(synthetic_nuscenes: NuScenes) -> None:
    for sample in synthetic_nuscenes.sample:
        path, boxes, _ = synthetic_nuscenes.get_sample_data(sample["data"]["LIDAR_TOP"])
        points = np.fromfile(path, np.float32).reshape(-1, 5)[:, :3].T
        for box in boxes:
            row = synthetic_nuscenes.get("sample_annotation", box.token)
            assert np.count_nonzero(points_in_box(box, points)) == row["num_lidar_pts"]


def test_labels_of_points_agree_with_boxes(synthetic_nuscenes: NuScenes, synthetic_root: Path) -> None:
    inside_right = inside = of_objects = objects_inside = 0
    for sample in synthetic_nuscenes.sample:
        data = sample["data"]["LIDAR_TOP"]
        path, boxes, _ = synthetic_nuscenes.get_sample_data(data)
        points = np.fromfile(path, np.float32).reshape(-1, 5)[:, :3].T
        labels = np.fromfile(synthetic_root / synthetic_nuscenes.get("lidarseg", data)["filename"], np.uint8)
        assert len(labels) == points.shape[1]
        in_any = np.zeros(len(labels), bool)
        for box in boxes:
            held = points_in_box(box, points)
            index = synthetic_nuscenes.lidarseg_name2idx_mapping[box.name]
            inside += held.sum()
            inside_right += (labels[held] == index).sum()
            in_any |= held & (labels == index)
        # Rain is noise, number 0.
        thing = (labels > 0) & (labels < 24)
        of_objects += thing.sum()
        objects_inside += in_any.sum()
    assert inside_right / inside > 0.99
    assert objects_inside / of_objects > 0.97


def test_every_annotation_has_a_velocity(synthetic_nuscenes: NuScenes) -> None:
    for row in synthetic_nuscenes.sample_annotation:
        velocity = synthetic_nuscenes.box_velocity(row["token"])
        assert np.isfinite(velocity).all()
        moving = any(
            synthetic_nuscenes.get("attribute", token)["name"].endswith(".moving") for token in row["attribute_tokens"]
        )
        assert np.linalg.norm(velocity) > 0.2 if moving else True


def test_chains_of_rows_are_whole(synthetic_nuscenes: NuScenes) -> None:
    for table in ("sample", "sample_data", "sample_annotation"):
        for row in getattr(synthetic_nuscenes, table):
            if row["next"]:
                after = synthetic_nuscenes.get(table, row["next"])
                assert after["prev"] == row["token"]
            if row["prev"]:
                assert synthetic_nuscenes.get(table, row["prev"])["next"] == row["token"]


def test_every_key_frame_has_ten_earlier_sweeps(synthetic_nuscenes: NuScenes, synthetic_root: Path) -> None:
    for sample in synthetic_nuscenes.sample:
        row = synthetic_nuscenes.get("sample_data", sample["data"]["LIDAR_TOP"])
        for k in range(1, 11):
            row = synthetic_nuscenes.get("sample_data", row["prev"])
            assert (synthetic_root / row["filename"]).is_file()
            assert sample["timestamp"] - row["timestamp"] == 50_000 * k


def _samples(nuscenes: NuScenes, split: str) -> list[dict]:
    names = create_splits_scenes()[split]
    return [s for s in nuscenes.sample if nuscenes.get("scene", s["scene_token"])["name"] in names]


def _ground_truth(nuscenes: NuScenes, split: str) -> dict[str, list[dict]]:
    """What a perfect detector would hand in."""
    results = {}
    for sample in _samples(nuscenes, split):
        rows = []
        for token in sample["anns"]:
            row = nuscenes.get("sample_annotation", token)
            attributes = [nuscenes.get("attribute", t)["name"] for t in row["attribute_tokens"]]
            rows.append(
                {
                    "sample_token": sample["token"],
                    "translation": row["translation"],
                    "size": row["size"],
                    "rotation": row["rotation"],
                    "velocity": nuscenes.box_velocity(token)[:2].tolist(),
                    "detection_name": category_to_detection_name(row["category_name"]),
                    "detection_score": 1.0,
                    "attribute_name": attributes[0] if attributes else "",
                    # The devkit drops ground truth without points; so would whoever wants a perfect score.
                    "num_pts": row["num_lidar_pts"],
                }
            )
        results[sample["token"]] = [r for r in rows if r.pop("num_pts") > 0]
    return results
