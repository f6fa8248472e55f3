"""Info files hold what the tables say, in mmdet3d's units and frames, as plain values."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from mmdet3d.datasets import NuScenesDataset
from nuscenes.utils.data_classes import LidarPointCloud
from pyquaternion import Quaternion

from ponderv2.datasets import DETECTION_CLASSES, LoadLidarSweeps, PonderNuScenesDataset, load_info_file
from ponderv2.datasets.prepare import InfoSettings, PreparationError, create_info_files, open_tables
from tests.factories.nuscenes_tables import INTERVAL, OBJECTS, car_pose, object_place, write_lidarseg, write_tables

CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")


def frame_of(info: dict, scene: str, index: int) -> dict:
    return next(f for f in info["data_list"] if (f["scene_name"], f["frame_idx"]) == (scene, index))


def stock_dataset(root: Path, info_file: Path, **kwargs) -> NuScenesDataset:
    prefix = {"pts": "samples/LIDAR_TOP", "sweeps": "sweeps/LIDAR_TOP"} | {c: f"samples/{c}" for c in CAMERAS}
    modality = {"use_lidar": True, "use_camera": True}
    return NuScenesDataset(
        str(root), str(info_file), data_prefix=prefix, modality=modality, filter_empty_gt=False, **kwargs
    )


def plain(value: object) -> bool:
    """Whether a value is made of plain Python values alone; json takes subclasses of float, too."""
    if type(value) is dict:
        return all(type(k) is str and plain(v) for k, v in value.items())
    if type(value) is list:
        return all(map(plain, value))
    return value is None or type(value) in (str, int, float, bool)


# ------------------------------------------------------------------------------------------- the file


@pytest.mark.parametrize("split", ["train", "val"])
def test_info_files_are_plain_values_that_json_takes(prepared, split):
    info = load_info_file(prepared / f"nuscenes_infos_{split}.pkl")
    assert plain(info)
    assert json.loads(json.dumps(info, allow_nan=False)) == info


def test_the_splits_are_the_official_ones_of_mini(prepared, train_info):
    val = load_info_file(prepared / "nuscenes_infos_val.pkl")
    assert {frame["scene_name"] for frame in train_info["data_list"]} == {"scene-0061", "scene-0553"}
    assert {frame["scene_name"] for frame in val["data_list"]} == {"scene-0103"}
    assert train_info["metainfo"]["version"] == "v1.0-mini"
    assert train_info["metainfo"]["categories"]["car"] == 0


def test_key_frames_are_in_the_order_of_time_and_numbered(train_info):
    frames = train_info["data_list"]
    times = [frame["timestamp"] for frame in frames]
    assert times == sorted(times)
    # scene-0061 comes second in the tables and is the earlier one.
    assert [frame["scene_name"] for frame in frames] == ["scene-0061"] * 3 + ["scene-0553"] * 3
    assert [frame["frame_idx"] for frame in frames] == [0, 1, 2] * 2
    assert [frame["sample_idx"] for frame in frames] == list(range(6))


def test_neighbours_in_time_are_named(train_info):
    first, second, third = train_info["data_list"][:3]
    assert (first["prev"], first["next"]) == ("", second["token"])
    assert (third["prev"], third["next"]) == (second["token"], "")
    assert first["scene_token"] == second["scene_token"] != train_info["data_list"][3]["scene_token"]
    assert first["map_location"] == "singapore-onenorth"


def test_a_test_set_has_no_boxes(tmp_path):
    root = write_tables(tmp_path / "nuscenes", "v1.0-test", scenes=("scene-0077",))
    (root / "v1.0-test" / "sample_annotation.json").write_text("[]")
    files = create_info_files(open_tables(root, "v1.0-test"), tmp_path, InfoSettings())
    assert list(files) == ["test"]
    assert [f["instances"] for f in load_info_file(files["test"])["data_list"]] == [[]] * 3


# ------------------------------------------------------------------------------------------- boxes


def test_stock_mmdet3d_reads_the_boxes_that_the_devkit_has(tables, tables_root, prepared, train_info):
    dataset = stock_dataset(tables_root, prepared / "nuscenes_infos_train.pkl", use_valid_flag=True)
    assert len(dataset) == 6
    for k in range(6):
        frame = dataset.get_data_info(k)
        boxes = frame["ann_info"]["gt_bboxes_3d"]
        # The devkit moves boxes into the LiDAR frame by quaternions; those without points are left out.
        _, expected, _ = tables.get_sample_data(train_info["data_list"][k]["lidar_points"]["sample_data_token"])
        expected = [b for b in expected if tables.get("sample_annotation", b.token)["num_lidar_pts"] > 0]
        assert len(boxes) == len(expected)
        for box, centre, label, other in zip(
            boxes.tensor, boxes.gravity_center, frame["ann_info"]["gt_labels_3d"], expected, strict=True
        ):
            np.testing.assert_allclose(centre, other.center, atol=1e-4)
            np.testing.assert_allclose(box[3:6], other.wlh[[1, 0, 2]], atol=1e-5)
            ahead = other.orientation.rotation_matrix[:, 0]
            assert math.remainder(float(box[6]) - math.atan2(ahead[1], ahead[0]), 2 * math.pi) == pytest.approx(
                0, abs=1e-5
            )
            assert (label >= 0) == (other.name != "animal")


def test_stock_mmdet3d_finds_every_file(tables_root, prepared):
    frame = stock_dataset(tables_root, prepared / "nuscenes_infos_train.pkl").get_data_info(2)
    paths = [camera["img_path"] for camera in frame["images"].values()]
    paths += [frame["lidar_path"], *(sweep["lidar_points"]["lidar_path"] for sweep in frame["lidar_sweeps"])]
    assert len(paths) == 17
    assert all(Path(path).is_file() for path in paths)


def test_boxes_are_where_the_world_has_them_with_length_first(train_info):
    frame = frame_of(train_info, "scene-0061", 2)
    lidar2global = np.array(frame["ego2global"]) @ np.array(frame["lidar_points"]["lidar2ego"])
    for instance in frame["instances"]:
        number = int(instance["instance_token"].split()[-1])
        centre, rotation = object_place(number, 2 * INTERVAL)
        x, y, z, length, _, _, yaw = instance["bbox_3d"]
        np.testing.assert_allclose(lidar2global @ [x, y, z, 1], [*centre, 1], atol=1e-9)
        tip = [x + length / 2 * math.cos(yaw), y + length / 2 * math.sin(yaw), z, 1]
        # The LiDAR is tilted a little, the box of seven numbers cannot be.
        np.testing.assert_allclose(
            (lidar2global @ tip)[:2], (centre + rotation.rotate([length / 2, 0, 0]))[:2], atol=0.03
        )


def test_velocities_are_in_the_lidar_frame_and_none_where_unknown(train_info):
    frame = frame_of(train_info, "scene-0061", 1)
    by_number = {int(i["instance_token"].split()[-1]): i for i in frame["instances"]}
    for number, (_, _, _, speed, frames) in enumerate(OBJECTS):
        instance = by_number[number]
        if len(frames) == 1:
            assert instance["velocity"] == [None, None]
            continue
        yaw = instance["bbox_3d"][6]
        np.testing.assert_allclose(
            instance["velocity"], [speed * math.cos(yaw), speed * math.sin(yaw)], atol=0.003 * speed + 1e-9
        )


def test_stock_mmdet3d_takes_unknown_velocities_as_zero(tables_root, prepared):
    dataset = stock_dataset(tables_root, prepared / "nuscenes_infos_train.pkl")
    boxes = dataset.get_data_info(1)["ann_info"]["gt_bboxes_3d"].tensor
    labels = dataset.get_data_info(1)["ann_info"]["gt_labels_3d"]
    assert boxes[labels == DETECTION_CLASSES.index("pedestrian"), 7:].tolist() == [[0, 0]]


def test_instances_carry_what_the_tables_know_of_them(train_info):
    frame = frame_of(train_info, "scene-0061", 1)
    car, animal, far = (frame["instances"][k] for k in (0, 5, 6))
    assert (car["bbox_label"], car["category"], car["attribute"]) == (0, "vehicle.car", "vehicle.moving")
    assert (car["visibility"], car["num_lidar_pts"], car["bbox_3d_isvalid"]) == (4, 20, True)
    assert (animal["bbox_label_3d"], animal["attribute"]) == (-1, "")
    assert (far["num_lidar_pts"], far["bbox_3d_isvalid"]) == (0, False)
    assert car["instance_token"] == frame_of(train_info, "scene-0061", 2)["instances"][0]["instance_token"]


# ------------------------------------------------------------------------------------------- calibration


def world_to_sensor(tables, token: str, point: np.ndarray) -> np.ndarray:
    """A world point in a sensor's frame, by the devkit's quaternions."""
    recording = tables.get("sample_data", token)
    for record in (
        tables.get("ego_pose", recording["ego_pose_token"]),
        tables.get("calibrated_sensor", recording["calibrated_sensor_token"]),
    ):
        point = Quaternion(record["rotation"]).inverse.rotate(point - record["translation"])
    return point


def test_camera_matrices_follow_the_car_from_sweep_to_exposure(tables, train_info):
    frame = train_info["data_list"][1]
    world = np.array([607.0, 1209.0, 1.0])
    in_lidar = world_to_sensor(tables, frame["lidar_points"]["sample_data_token"], world)
    for image in frame["images"].values():
        in_camera = world_to_sensor(tables, image["sample_data_token"], world)
        np.testing.assert_allclose(np.array(image["lidar2cam"]) @ [*in_lidar, 1], [*in_camera, 1], atol=1e-9)
        through_poses = np.linalg.inv(np.array(image["ego2global"]) @ image["cam2ego"]) @ [*world, 1]
        np.testing.assert_allclose(through_poses[:3], in_camera, atol=1e-9)
        assert (image["height"], image["width"]) == (90, 160)


def test_earlier_images_have_matrices_of_their_own(tables, tables_root, train_info):
    frame = train_info["data_list"][1]
    world = np.array([607.0, 1209.0, 1.0])
    in_lidar = world_to_sensor(tables, frame["lidar_points"]["sample_data_token"], world)
    assert len(frame["image_sweeps"]) == 2
    for k, sweep in enumerate(frame["image_sweeps"]):
        assert list(sweep["images"]) == list(CAMERAS)
        for camera, image in sweep["images"].items():
            assert frame["images"][camera]["timestamp"] - image["timestamp"] == pytest.approx(0.125 * (k + 1))
            assert (tables_root / image["img_path"]).is_file()
            in_camera = world_to_sensor(tables, image["sample_data_token"], world)
            np.testing.assert_allclose(np.array(image["lidar2cam"]) @ [*in_lidar, 1], [*in_camera, 1], atol=1e-9)


def test_earlier_sweeps_come_back_in_time_and_stop_at_the_start_of_the_recording(train_info):
    lags = [
        [round(frame["timestamp"] - sweep["timestamp"], 3) for sweep in frame["lidar_sweeps"]]
        for frame in train_info["data_list"][:3]
    ]
    assert lags == [[0.125 * k for k in range(1, n + 1)] for n in (2, 6, 10)]


def test_earlier_sweeps_land_on_the_key_frame_although_the_car_turns(tables_root, prepared):
    dataset = PonderNuScenesDataset(
        data_root=str(tables_root), ann_file=str(prepared / "nuscenes_infos_train.pkl"), pipeline=[]
    )
    frame = dataset.get_data_info(2)
    whole = LoadLidarSweeps(num_sweeps=10, remove_close=0.0)(frame)["points"].tensor.numpy()
    # All sweeps begin with the same points of the walls.
    count = len(LidarPointCloud.from_file(frame["lidar_path"]).points.T)
    assert len(whole) == 11 * count
    walls = whole.reshape(11, count, 5)[:, :4000, :3]
    assert np.abs(walls - walls[0]).max() < 1e-4


def test_the_pose_is_that_of_the_lidar(train_info):
    frame = frame_of(train_info, "scene-0553", 2)
    place, rotation = car_pose(2 * INTERVAL)
    np.testing.assert_allclose(np.array(frame["ego2global"])[:3, 3], place)
    np.testing.assert_allclose(np.array(frame["ego2global"])[:3, :3], rotation.rotation_matrix, atol=1e-12)


# ------------------------------------------------------------------------------------------- CAN bus, lidarseg


def test_the_can_bus_vector_has_pose_motion_and_yaw(train_info):
    frame = frame_of(train_info, "scene-0553", 2)
    place, rotation = car_pose(2 * INTERVAL)
    assert frame["can_bus_measured"] is True
    assert len(frame["can_bus"]) == 18
    assert frame["can_bus"][:7] == pytest.approx([*place, *rotation])
    # The last message at or before 1.0 s: number 35, as messages begin at 0.3 s.
    assert frame["can_bus"][7:16] == pytest.approx([35, 0.1, 9.8, 0, 0, 0.5, 6, 0, 0])
    assert frame["can_bus"][16:] == pytest.approx([0.5, math.degrees(0.5)])


@pytest.mark.parametrize(("scene", "index"), [("scene-0553", 0), ("scene-0061", 1)], ids=["before", "no file"])
def test_without_messages_the_motion_is_zero_and_that_is_said(train_info, scene, index):
    frame = frame_of(train_info, scene, index)
    assert frame["can_bus_measured"] is False
    assert frame["can_bus"][7:16] == [0.0] * 9
    assert frame["can_bus"][:2] == pytest.approx(car_pose(index * INTERVAL)[0][:2])
    assert "scene-0061" in train_info["metainfo"]["scenes_without_can_bus"]


def test_a_scene_without_usable_can_bus_is_like_one_without_messages(tmp_path):
    # scene-0161 is on the devkit's list of scenes whose messages are of no use.
    root = write_tables(tmp_path / "nuscenes", "v1.0-trainval", scenes=("scene-0161",))
    assert (root / "can_bus" / "scene-0161_pose.json").is_file()
    files = create_info_files(open_tables(root, "v1.0-trainval"), tmp_path, InfoSettings())
    assert list(files) == ["train"]
    assert not any(frame["can_bus_measured"] for frame in load_info_file(files["train"])["data_list"])


def test_labels_of_points_are_named_where_the_tables_have_them(tmp_path, train_info):
    assert all("pts_semantic_mask_path" not in frame for frame in train_info["data_list"])
    root = write_tables(tmp_path / "nuscenes", scenes=("scene-0061",))
    write_lidarseg(root)
    files = create_info_files(open_tables(root, "v1.0-mini"), tmp_path, InfoSettings())
    paths = [frame["pts_semantic_mask_path"] for frame in load_info_file(files["train"])["data_list"]]
    assert paths == ["0_lidarseg.bin", "1_lidarseg.bin", "2_lidarseg.bin"]


# ------------------------------------------------------------------------------------------- what is missing


@pytest.mark.parametrize("part", ["samples/CAM_BACK", "samples/LIDAR_TOP", "sweeps/LIDAR_TOP"])
def test_a_missing_file_is_named(tmp_path, part):
    root = write_tables(tmp_path / "nuscenes", scenes=("scene-0061",))
    gone = sorted((root / part).iterdir())[0]
    gone.unlink()
    with pytest.raises(
        PreparationError, match=rf"{gone.name} does not exist, but the tables name it; unpack"
    ) as caught:
        create_info_files(open_tables(root, "v1.0-mini"), tmp_path, InfoSettings())
    # Without them there is still no doing without key frames.
    assert ("--lidar-sweeps 0" in str(caught.value)) == part.startswith("sweeps")


def test_without_sweeps_no_folder_of_sweeps_is_needed(tmp_path):
    root = write_tables(tmp_path / "nuscenes", scenes=("scene-0061",))
    (root / "sweeps").rename(root / "elsewhere")
    files = create_info_files(open_tables(root, "v1.0-mini"), tmp_path, InfoSettings(lidar_sweeps=0))
    assert [frame["lidar_sweeps"] for frame in load_info_file(files["train"])["data_list"]] == [[]] * 3


def test_tables_that_do_not_fit_together_are_named(tmp_path):
    root = write_tables(tmp_path / "nuscenes", scenes=("scene-0061",))
    path = root / "v1.0-mini" / "ego_pose.json"
    path.write_text(path.read_text().replace("scene-0061 LIDAR_TOP 6 pose", "renamed"))
    with pytest.raises(PreparationError, match=r"scene-0061: the tables refer to 'scene-0061 LIDAR_TOP 6 pose'"):
        create_info_files(open_tables(root, "v1.0-mini"), tmp_path, InfoSettings())
