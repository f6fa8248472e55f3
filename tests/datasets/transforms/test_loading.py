"""Images, calibration and sweeps: what is read, where it lands, and which error names what."""

import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PonderNuScenesDataset
from ponderv2.datasets.data_files import DataFileError, MissingFileError, decode_image, read_image, read_images
from ponderv2.datasets.info_file import InfoFileError
from ponderv2.datasets.transforms import loading
from ponderv2.datasets.transforms.loading import rig_of
from ponderv2.geometry import project
from tests.factories.keyframe import CAMERAS, INFO_NAME

MATRICES = ("lidar2cam", "cam2img", "img_aug")


def key_points(frame: dict) -> np.ndarray:
    return np.fromfile(frame["lidar_points"]["lidar_path"], dtype=np.float32).reshape(-1, 5)


def jpeg(ending: str = ".jpg") -> bytes:
    """A picture of noise in a file; half of a JPEG of it is decoded by OpenCV without a complaint."""
    pixels = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    return cv2.imencode(ending, pixels)[1].tobytes()


@pytest.fixture
def logged(monkeypatch) -> list[str]:
    """Messages of the loaders."""
    messages = []
    monkeypatch.setattr(loading, "print_log", lambda message, **_: messages.append(message))
    return messages


# ---------------------------------------------------------------------------------------------- cameras


@pytest.mark.parametrize("names", [CAMERAS, ("CAM_BACK", "CAM_FRONT"), ("CAM_FRONT_LEFT",)])
def test_cameras_come_in_the_order_that_is_asked_for(frame, names):
    results = LoadCameras(cameras=names)(frame)
    assert results["cameras"] == names
    assert results["image_sizes"].tolist() == [[90, 160]] * len(names)
    for k, name in enumerate(names):
        info = frame["images"][name]
        on_disk = cv2.imread(info["img_path"])[..., ::-1]
        np.testing.assert_array_equal(results["img"][k], on_disk)
        np.testing.assert_array_equal(results["lidar2cam"][k], info["lidar2cam"])
        np.testing.assert_array_equal(results["cam2img"][k, :3, :3], info["cam2img"])
        assert results["cam2img"][k, 3].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("decode", [True, False])
def test_matrices_are_double_precision_and_augmentation_starts_at_nothing(frame, decode):
    results = LoadCameras(decode=decode)(frame)
    assert {results[k].dtype for k in (*MATRICES, "lidar_aug")} == {np.dtype(np.float64)}
    assert {results[k].shape for k in MATRICES} == {(6, 4, 4)}
    np.testing.assert_array_equal(results["img_aug"], np.tile(np.eye(4), (6, 1, 1)))
    np.testing.assert_array_equal(results["lidar_aug"], np.eye(4))


def test_an_augmentation_of_the_scene_that_is_there_is_kept(frame):
    earlier = np.diag([2.0, 2.0, 2.0, 1.0])
    assert LoadCameras()(frame | {"lidar_aug": earlier})["lidar_aug"] is earlier


def test_without_decoding_no_image_file_is_opened(frame, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise AssertionError("an image was read")

    monkeypatch.setattr(loading, "read_images", refuse)
    for camera in frame["images"].values():
        camera["img_path"] = str(tmp_path / "nowhere.jpg")
    frame["images"]["CAM_FRONT"] |= {"height": 45, "width": 80}
    results = LoadCameras(decode=False, image_size=(90, 160))(frame)
    assert "img" not in results
    assert results["image_sizes"].tolist() == [[45, 80]] + [[90, 160]] * 5


def test_a_missing_image_is_named_with_its_key(frame, tmp_path):
    frame["images"]["CAM_BACK"]["img_path"] = str(tmp_path / "gone.jpg")
    with pytest.raises(
        MissingFileError, match=r"key frame factory: images\.CAM_BACK\.img_path: .*gone\.jpg does not exist"
    ):
        LoadCameras()(frame)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"no image at all", "cannot be decoded"),
        (b"", r"is empty \(0 bytes\)"),
        (b"\x89PNG\r\n\x1a\n", "is cut: 8 bytes"),
        (jpeg()[:-2], "is cut"),
        (jpeg()[: len(jpeg()) // 2], "is cut"),
        (jpeg(".png")[:-20], "is cut"),
    ],
    ids=["text", "empty", "PNG header", "JPEG without end", "half a JPEG", "PNG without end"],
)
def test_an_image_that_is_not_whole_is_named_with_its_key(frame, tmp_path, content, what):
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    frame["images"]["CAM_BACK"]["img_path"] = str(path)
    message = rf"key frame factory: images\.CAM_BACK\.img_path: image .*broken\.jpg {what}[^\n]*$"
    with pytest.raises(DataFileError, match=message):
        LoadCameras()(frame)


def test_a_jpeg_with_something_after_its_end_is_read(frame, tmp_path):
    path = tmp_path / "padded.jpg"
    path.write_bytes(jpeg() + bytes(100))
    frame["images"]["CAM_BACK"]["img_path"] = str(path)
    assert LoadCameras()(frame)["img"][3].shape == (90, 160, 3)


def test_the_end_of_a_thumbnail_is_not_that_of_the_image():
    # A thumbnail is a JPEG of its own in a segment before the data.
    whole, thumbnail = jpeg(), jpeg()[:500] + b"\xff\xd9"
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    content = whole[:2] + segment + whole[2:]
    assert decode_image(content, "image").shape == (90, 160, 3)
    with pytest.raises(DataFileError, match="image is cut"):
        decode_image(content[:-2], "image")


def _written(folder: Path, name: str, image: np.ndarray) -> Path:
    path = folder / name
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def test_images_that_are_read_together_are_those_that_are_read_alone_in_one_array(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (3, 90, 160, 3), dtype=np.uint8)
    paths = [_written(tmp_path, name, image) for name, image in zip(("a.jpg", "b.png", "c.webp"), noise, strict=True)]
    # What is there before it is decoded; a gray image; one that cannot be told from what was there before.
    paths += [_written(tmp_path, "d.png", noise[0, ..., 0]), _written(tmp_path, "e.png", np.full_like(noise[0], 201))]
    images = read_images(paths, ["image"] * len(paths))
    for place, (path, image) in enumerate(zip(paths, images, strict=True)):
        np.testing.assert_array_equal(image, read_image(path), err_msg=path.name)
        together = image.base is images[0].base
        assert together == (path.name != "e.png")
        if together:
            assert np.shares_memory(image, images[0].base[place])
    assert images[0].base.shape == (5, 90, 160, 3)


def test_an_image_of_another_size_or_that_is_turned_has_a_place_of_its_own(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    plain, small = (_written(tmp_path, f"{len(image)}.jpg", image) for image in (noise, noise[:50]))
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(noise).save(turned, exif=exif)
    images = read_images([plain, small, turned, plain], ["image"] * 4)
    assert [image.shape[:2] for image in images] == [(90, 160), (50, 160), (160, 90), (90, 160)]
    for path, image in zip((plain, small, turned, plain), images, strict=True):
        np.testing.assert_array_equal(image, read_image(path))


def test_a_camera_without_a_file_name_is_named(frame):
    del frame["images"]["CAM_BACK"]["img_path"]
    with pytest.raises(InfoFileError, match=r"images\.CAM_BACK\.img_path is missing"):
        LoadCameras()(frame)


def test_a_missing_camera_is_named_with_those_that_are_there(frame):
    del frame["images"]["CAM_BACK"]
    with pytest.raises(InfoFileError, match=r"images has no \['CAM_BACK'\]; it has \['CAM_BACK_LEFT', "):
        LoadCameras()(frame)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "lidar2cam",
            np.eye(3).tolist(),
            r"images\.CAM_FRONT\.lidar2cam: expected a 4.4 matrix, got shape \(3, 3\)",
        ),
        (
            "cam2img",
            np.eye(4).tolist(),
            r"images\.CAM_FRONT\.cam2img: expected a 3.3 matrix, got shape \(4, 4\)",
        ),
        ("cam2img", [[1.0, 2.0], [3.0]], r"images\.CAM_FRONT\.cam2img: expected a 3.3 matrix of numbers"),
        ("cam2img", [["a"] * 3] * 3, r"images\.CAM_FRONT\.cam2img: expected a 3.3 matrix of numbers"),
        ("cam2img", np.full((3, 3), math.nan).tolist(), r"images\.CAM_FRONT\.cam2img is not finite"),
        ("lidar2cam", np.full((4, 4), math.inf).tolist(), r"images\.CAM_FRONT\.lidar2cam is not finite"),
    ],
)
def test_a_wrong_matrix_is_named(frame, name, value, message):
    frame["images"]["CAM_FRONT"][name] = value
    with pytest.raises(InfoFileError, match=message):
        LoadCameras(decode=False)(frame)


@pytest.mark.parametrize("name", ["lidar2cam", "cam2img"])
def test_a_matrix_that_is_not_there_is_named(frame, name):
    del frame["images"]["CAM_FRONT"][name]
    with pytest.raises(InfoFileError, match=rf"images\.CAM_FRONT\.{name} is missing"):
        LoadCameras(decode=False)(frame)


# ----------------------------------------------------------------------------------------------- sweeps


def test_without_sweeps_the_points_are_those_of_the_file_with_no_lag(frame):
    points = LoadLidarSweeps()(frame)["points"].tensor.numpy()
    np.testing.assert_array_equal(points[:, :4], key_points(frame)[:, :4])
    assert (points[:, 4] == 0).all()


def test_earlier_sweeps_of_a_turning_car_land_on_the_key_frame(frame):
    key = key_points(frame)
    points = LoadLidarSweeps(num_sweeps=9, remove_close=0.0)(frame)["points"].tensor.numpy()
    assert len(points) == 3 * len(key)
    for k in (1, 2):
        sweep = points[k * len(key) : (k + 1) * len(key)]
        # The first two returns of a sweep are from the car itself, and not of the world.
        assert np.abs(sweep[2:, :3] - key[2:, :3]).max() < 1e-4
        np.testing.assert_array_equal(sweep[2:, 3], key[2:, 3])
        assert np.abs(sweep[:2, :3] - key[:2, :3]).max() > 1


def test_the_last_column_is_the_time_since_the_sweep(frame):
    points = LoadLidarSweeps(num_sweeps=2, remove_close=0.0)(frame)["points"].tensor.numpy()
    lags = points[:, 4].reshape(3, -1)
    np.testing.assert_allclose(lags, np.broadcast_to([[0.0], [0.05], [0.1]], lags.shape), atol=1e-6)


def test_returns_from_the_car_are_dropped_from_earlier_sweeps_alone(frame):
    whole = LoadLidarSweeps(num_sweeps=2, remove_close=0.0)(frame)["points"].tensor
    kept = LoadLidarSweeps(num_sweeps=2, remove_close=0.4)(frame)["points"].tensor
    count = len(key_points(frame))
    car = torch.zeros(3, count, dtype=torch.bool)
    car[1:, :2] = True
    assert torch.equal(kept, whole[~car.flatten()])


def test_in_test_mode_the_nearest_sweep_in_time_is_taken(frame):
    loader = LoadLidarSweeps(num_sweeps=1, test_mode=True)
    lags = {round(loader(dict(frame))["points"].tensor[-1, 4].item(), 3) for _ in range(20)}
    assert lags == {0.05}


def test_in_training_either_sweep_is_taken(frame):
    np.random.seed(0)
    loader = LoadLidarSweeps(num_sweeps=1)
    lags = {round(loader(dict(frame))["points"].tensor[-1, 4].item(), 3) for _ in range(20)}
    assert lags == {0.05, 0.1}


@pytest.mark.parametrize("how", ["no key", "empty"])
def test_a_frame_without_earlier_sweeps_has_its_own_points(frame, how):
    frame["lidar_sweeps"] = []
    if how == "no key":
        del frame["lidar_sweeps"]
    assert len(LoadLidarSweeps(num_sweeps=9)(frame)["points"]) == len(key_points(frame))


@pytest.mark.parametrize("cut", [3, 8])
def test_a_truncated_sweep_is_named(frame, tmp_path, cut):
    path = tmp_path / "cut.pcd.bin"
    path.write_bytes(Path(frame["lidar_points"]["lidar_path"]).read_bytes()[:-cut])
    frame["lidar_points"]["lidar_path"] = str(path)
    with pytest.raises(
        DataFileError,
        match=r"factory: lidar_points\.lidar_path: point file .*cut\.pcd\.bin has \d+ bytes, no mul",
    ):
        LoadLidarSweeps()(frame)


def test_a_missing_sweep_is_named_with_its_key(frame, tmp_path):
    frame["lidar_sweeps"][1]["lidar_points"]["lidar_path"] = str(tmp_path / "gone.pcd.bin")
    with pytest.raises(
        MissingFileError, match=r"lidar_sweeps\[1\]\.lidar_points\.lidar_path: .*gone\.pcd\.bin does not"
    ):
        LoadLidarSweeps(num_sweeps=9)(frame)


def test_a_wrong_pose_of_a_sweep_is_named(frame):
    frame["lidar_sweeps"][0]["lidar_points"]["lidar2sensor"] = np.eye(3).tolist()
    with pytest.raises(InfoFileError, match=r"lidar_sweeps\[0\]\.lidar_points\.lidar2sensor: expected a 4.4"):
        LoadLidarSweeps(num_sweeps=9)(frame)


def test_points_that_are_not_finite_are_dropped_and_counted(frame, tmp_path, logged):
    points = key_points(frame)
    points[5, 0], points[7, 3], points[9, 2] = math.nan, math.inf, -math.inf
    path = tmp_path / "some_nan.pcd.bin"
    points.tofile(path)
    frame["lidar_points"]["lidar_path"] = str(path)
    loaded = LoadLidarSweeps()(frame)["points"].tensor.numpy()
    np.testing.assert_array_equal(loaded[:, :3], np.delete(points, [5, 7, 9], axis=0)[:, :3])
    assert len(logged) == 1
    assert "some_nan.pcd.bin: dropped 3 of 3000 points that are not finite" in logged[0]


def test_nothing_is_logged_when_all_points_are_finite(frame, logged):
    LoadLidarSweeps(num_sweeps=2)(frame)
    assert logged == []


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", r"is empty \(0 bytes\)"), (np.full(10, math.nan, np.float32).tobytes(), "has no point that is finite")],
    ids=["empty", "not finite"],
)
@pytest.mark.parametrize("key", ["lidar_points.lidar_path", "lidar_sweeps[1].lidar_points.lidar_path"])
def test_a_point_file_without_points_is_named_with_its_key(frame, tmp_path, key, content, what):
    path = tmp_path / "none.pcd.bin"
    path.write_bytes(content)
    entry = frame if key.startswith("lidar_points") else frame["lidar_sweeps"][1]
    entry["lidar_points"]["lidar_path"] = str(path)
    message = rf"key frame factory: {re.escape(key)}: point file .*none\.pcd\.bin {what}"
    with pytest.raises(DataFileError, match=message):
        LoadLidarSweeps(num_sweeps=2)(frame)


def test_the_rig_of_a_sample_spans_its_largest_image(frame):
    frame["images"]["CAM_FRONT"] |= {"height": 60, "width": 200}
    rig = rig_of(LoadCameras(decode=False, image_size=(90, 160))(frame))
    assert rig.padded_size == (90, 200)
    assert rig.image_size[:2].tolist() == [[60, 200], [90, 160]]
    assert rig.lidar2img.dtype == torch.float64


# ------------------------------------------------------------------------------------ the real key frame


@pytest.fixture
def real_frame(keyframe_root) -> dict:
    """The real key frame, loaded."""
    dataset = PonderNuScenesDataset(data_root=str(keyframe_root), ann_file=INFO_NAME, pipeline=[])
    return LoadLidarSweeps()(LoadCameras()(dataset.get_data_info(0)))


@pytest.mark.real
def test_six_real_images_see_the_known_shares_of_the_sweep(real_frame):
    assert [image.shape for image in real_frame["img"]] == [(900, 1600, 3)] * 6
    assert all(image.std() > 20 for image in real_frame["img"])
    points = real_frame["points"].tensor[:, :3].double()
    assert len(points) == 34688
    pixels, depth = project(points.expand(6, -1, -1), rig_of(real_frame).lidar2img)
    inside = (depth > 1e-5) & (pixels >= -0.5).all(dim=-1) & (pixels < torch.tensor([1599.5, 899.5])).all(dim=-1)
    known = [0.088, 0.089, 0.107, 0.139, 0.118, 0.097]
    assert inside.double().mean(dim=1).tolist() == pytest.approx(known, abs=0.01)


@pytest.mark.real
def test_real_boxes_hold_the_points_they_are_said_to_hold(real_frame):
    instances = real_frame["instances"]
    points = real_frame["points"].tensor[:, :3].double()
    counts = [int(points_inside(points, instance["bbox_3d"]).sum()) for instance in instances]
    said = [instance["num_lidar_pts"] for instance in instances]
    assert len(instances) == 69
    assert sum(counts) == pytest.approx(994, abs=10)
    assert np.corrcoef(counts, said)[0, 1] > 0.999


def points_inside(points: torch.Tensor, box: list[float]) -> torch.Tensor:
    """Which points lie in a box (x, y, z, l, w, h, yaw) with gravity centre."""
    x, y, z = (points - torch.tensor(box[:3], dtype=torch.float64)).unbind(dim=1)
    c, s = math.cos(box[6]), math.sin(box[6])
    local = torch.stack([c * x + s * y, -s * x + c * y, z], dim=1)
    return (local.abs() <= torch.tensor(box[3:6], dtype=torch.float64) / 2).all(dim=1)
