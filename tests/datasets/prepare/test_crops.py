"""Pictures in the ground-truth database: the largest view, the right pixels, and databases with and without them."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from ponderv2.datasets import GroundTruthDatabase
from ponderv2.datasets.prepare import PreparationError, create_gt_database
from ponderv2.datasets.prepare.crops import MIN_SIDE, FrameCrops
from ponderv2.datasets.transforms.image_boxes import image_boxes
from tests.factories.tool_scripts import load_tool

HEIGHT, WIDTH = 60, 100


def lidar2cam(yaw: float) -> np.ndarray:
    """A camera at the origin that looks along +y turned by `yaw`, counter-clockwise."""
    forward = np.array([-math.sin(yaw), math.cos(yaw), 0.0])
    down = np.array([0.0, 0.0, -1.0])
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([np.cross(down, forward), down, forward])
    return matrix


@pytest.fixture
def frame(tmp_path: Path) -> tuple[Path, dict]:
    """A folder with three images that overlap: red ahead, green half left of it, blue at the back."""
    images = {}
    colors = {"CAM_FRONT": (255, 0, 0), "CAM_FRONT_LEFT": (0, 255, 0), "CAM_BACK": (0, 0, 255)}
    for (name, color), yaw in zip(colors.items(), (0.0, 0.6, math.pi), strict=True):
        folder = tmp_path / "samples" / name
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "image.png"), np.full((HEIGHT, WIDTH, 3), color[::-1], dtype=np.uint8))
        images[name] = {
            "img_path": "image.png",
            "cam2img": [[60.0, 0.0, (WIDTH - 1) / 2], [0.0, 60.0, (HEIGHT - 1) / 2], [0.0, 0.0, 1.0]],
            "lidar2cam": lidar2cam(yaw).tolist(),
        }
    return tmp_path, {"token": "a frame", "images": images}


def box_at(distance: float, yaw: float, size: float = 2.0) -> list[float]:
    return [-distance * math.sin(yaw), distance * math.cos(yaw), 0.0, size, size, size, 0.0]


def picture(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_the_largest_view_is_kept_whatever_the_order_of_the_cameras(frame):
    root, entry = frame
    # Between the two front cameras, one nearer to the axis of each; off the axis things are larger, until they are cut.
    boxes = np.array([box_at(7.0, 0.05), box_at(7.0, 0.55)])
    chosen = []
    for order in (list(entry["images"]), list(entry["images"])[::-1]):
        crops = FrameCrops(root, entry | {"images": {name: entry["images"][name] for name in order}})
        areas = [
            {
                name: int(image_boxes(boxes, matrix, (HEIGHT, WIDTH)).sides[k].prod())
                for name, matrix in zip(crops.cameras, crops.lidar2img, strict=True)
            }
            for k in range(2)
        ]
        assert all(sum(area > 0 for area in of_box.values()) == 2 for of_box in areas)
        found = crops.cut(boxes)
        chosen.append([where["camera"] for where, _ in found])
        assert chosen[-1] == [max(of_box, key=of_box.get) for of_box in areas]
    assert chosen[0] == chosen[1]
    assert len(set(chosen[0])) == 2


def test_a_crop_has_the_pixels_of_its_camera_its_size_and_its_depth(frame):
    root, entry = frame
    ((where, content),) = FrameCrops(root, entry).cut(np.array([box_at(8.0, math.pi)]))
    left, top, right, bottom = where["box"]
    pixels = picture(content)
    assert pixels.shape == (bottom - top, right - left, 3)
    assert np.abs(pixels.astype(int) - (0, 0, 255)).max() <= 3
    assert (where["camera"], where["depth"]) == ("CAM_BACK", pytest.approx(8.0))
    # 2 m at 7 m and 60 pixels of focal length.
    assert right - left == pytest.approx(2 / 7 * 60, abs=2)


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        (box_at(5.0, math.pi / 2 + 0.4), False),  # where no camera looks
        (box_at(50.0, 0.0), False),  # too small
        (box_at(9.0, 0.0), True),
        (box_at(1.0, 0.0, size=3.0), False),  # around the camera
    ],
)
def test_objects_that_no_camera_shows_well_have_no_crop(frame, box, kept):
    root, entry = frame
    (found,) = FrameCrops(root, entry).cut(np.array([box]))
    assert (found is not None) == kept
    if kept:
        left, top, right, bottom = found[0]["box"]
        assert min(right - left, bottom - top) > MIN_SIDE


def test_a_missing_image_is_named(frame):
    root, entry = frame
    (root / "samples" / "CAM_BACK" / "image.png").unlink()
    with pytest.raises(PreparationError, match=r"key frame a frame: images\.CAM_BACK\.img_path: .* does not exist"):
        FrameCrops(root, entry)


@pytest.fixture(scope="module")
def with_crops(prepared: Path, tables_root: Path, tmp_path_factory: pytest.TempPathFactory) -> GroundTruthDatabase:
    out = tmp_path_factory.mktemp("with_crops")
    return GroundTruthDatabase(
        create_gt_database(prepared / "nuscenes_infos_train.pkl", tables_root, out, image_crops=True)
    )


def test_a_database_with_crops_is_the_one_without_and_more(with_crops, prepared):
    without = GroundTruthDatabase(prepared / "nuscenes_gt_database_train")
    assert with_crops.has_crops
    assert not without.has_crops
    for name, entries in without.objects.items():
        assert [{k: v for k, v in e.items() if k != "crop"} for e in with_crops.objects[name]] == entries
        for ours, theirs in zip(with_crops.objects[name], entries, strict=True):
            np.testing.assert_array_equal(with_crops.points(ours), without.points(theirs))


def test_every_picture_of_a_database_is_found_again(with_crops):
    entries = [entry for entries in with_crops.objects.values() for entry in entries]
    pictures = [with_crops.crop(entry) for entry in entries]
    assert sum(found is not None for found in pictures) > 10
    for entry, found in zip(entries, pictures, strict=True):
        if found is None:
            assert entry["crop"] is None
            continue
        left, top, right, bottom = entry["crop"]["box"]
        assert found.shape == (bottom - top, right - left, 3)
        assert entry["crop"]["depth"] > 0


def test_crops_are_made_when_asked_and_never_silently(repository, tables_root, tmp_path, capsys):
    create_data = load_tool(repository, "create_data")
    arguments = ["--root", str(tables_root), "--version", "v1.0-mini", "--workers", "1", "--out", str(tmp_path)]
    assert create_data.main([*arguments, "--image-crops"]) == 0
    assert GroundTruthDatabase(tmp_path / "nuscenes_gt_database_train").has_crops
    record = json.loads((tmp_path / "prepared.json").read_text())["nuscenes_gt_database_train"]
    assert record["image_crops"] is True
    assert create_data.main([*arguments, "--image-crops"]) == 0
    assert "nuscenes_gt_database_train is finished" in capsys.readouterr().out
    # Without the option it is another database.
    assert create_data.main(arguments) == 2
    assert "with other settings (image_crops True, now False); give --overwrite" in capsys.readouterr().err
    assert create_data.main([*arguments, "--overwrite"]) == 0
    assert not GroundTruthDatabase(tmp_path / "nuscenes_gt_database_train").has_crops
