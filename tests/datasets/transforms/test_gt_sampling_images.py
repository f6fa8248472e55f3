"""Pictures of sampled objects in views: in the right camera and place, far to near, on copies."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ponderv2.datasets import GroundTruthDatabase, GroundTruthSampling, MultiViewResizeCropFlipRotate
from ponderv2.datasets.data_files import DataFileError
from ponderv2.datasets.transforms.gt_sampling_images import ObjectPicture, add_pictures
from ponderv2.datasets.transforms.image_boxes import image_boxes
from tests.factories.gt_database import gt_object, write_gt_database

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
NEAR, MIDDLE, FAR = ([0.5, y, -0.4, s, s, s, 0.0] for y, s in ((6.0, 0.8), (9.0, 1.5), (14.0, 3.0)))
"""Ahead of CAM_FRONT, one behind the other, each larger on the image than those before it."""


def plain(color: tuple[int, int, int], height: int = 7, width: int = 5) -> np.ndarray:
    return np.full((height, width, 3), color, dtype=np.uint8)


def picture_of(box: list[float], color: tuple[int, int, int], camera: str = "CAM_FRONT") -> ObjectPicture:
    return ObjectPicture(camera, np.array(box), plain(color))


def place(results: dict, box: list[float], view: int = 0) -> tuple[slice, slice]:
    matrix = results["cam2img"][view] @ results["lidar2cam"][view]
    found = image_boxes(np.array([box]), matrix, results["img"][view].shape[:2])
    assert found.whole[0]
    left, top, right, bottom = found.rectangles[0]
    return slice(top, bottom), slice(left, right)


def drawn(load, real: list, pictures: list[ObjectPicture]) -> tuple[dict, list[np.ndarray]]:
    results = load()
    before = [image.copy() for image in results["img"]]
    add_pictures(results, np.array(real).reshape(-1, 7), pictures)
    return results, before


def test_a_picture_fills_the_rectangle_of_its_box_in_its_camera_alone(load):
    results, before = drawn(load, [], [picture_of(MIDDLE, RED)])
    where = place(results, MIDDLE)
    expected = before[0].copy()
    expected[where] = RED
    np.testing.assert_array_equal(results["img"][0], expected)
    for view in range(1, 6):
        np.testing.assert_array_equal(results["img"][view], before[view])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_near_pictures_cover_far_ones_whatever_their_order(load, order):
    pictures = [picture_of(box, color) for box, color in ((NEAR, RED), (MIDDLE, GREEN), (FAR, BLUE))]
    results, _ = drawn(load, [], [pictures[k] for k in order])
    image = results["img"][0]
    assert (image[place(results, NEAR)] == RED).all()
    assert (image[place(results, MIDDLE)] == GREEN).all(axis=-1).any()
    assert (image[place(results, FAR)] == BLUE).all(axis=-1).any()


def test_a_nearer_real_object_is_put_back_as_it_was(load):
    results, before = drawn(load, [NEAR], [picture_of(FAR, BLUE)])
    image = results["img"][0]
    where = place(results, NEAR)
    # With the published views of the image, this place would be blue.
    np.testing.assert_array_equal(image[where], before[0][where])
    outside = np.ones(image.shape[:2], dtype=bool)
    outside[where] = False
    inside_far = np.zeros(image.shape[:2], dtype=bool)
    inside_far[place(results, FAR)] = True
    assert (image[outside & inside_far] == BLUE).all()
    assert (outside & inside_far).sum() > 50


def test_a_farther_real_object_is_covered(load):
    results, before = drawn(load, [FAR], [picture_of(NEAR, RED)])
    expected = before[0].copy()
    expected[place(results, NEAR)] = RED
    np.testing.assert_array_equal(results["img"][0], expected)


def test_a_real_object_between_two_sampled_ones(load):
    pictures = [
        picture_of(NEAR, RED),
        picture_of(FAR, BLUE),
    ]
    results, before = drawn(load, [MIDDLE], pictures)
    expected = before[0].copy()
    expected[place(results, FAR)] = BLUE
    expected[place(results, MIDDLE)] = before[0][place(results, MIDDLE)]
    expected[place(results, NEAR)] = RED
    np.testing.assert_array_equal(results["img"][0], expected)


def test_a_real_object_beside_the_car_is_put_back_though_a_part_is_behind_the_camera(load):
    beside = [0.5, 1.0, -0.2, 1.0, 3.0, 0.6, 0.0]
    results, before = drawn(load, [beside], [picture_of(FAR, BLUE)])
    matrix = results["cam2img"][0] @ results["lidar2cam"][0]
    found = image_boxes(np.array([beside]), matrix, before[0].shape[:2])
    assert found.seen[0]
    assert not found.whole[0]
    left, top, right, bottom = found.rectangles[0]
    np.testing.assert_array_equal(results["img"][0][top:bottom, left:right], before[0][top:bottom, left:right])


def test_the_images_that_were_loaded_are_not_written_to(load):
    results = load()
    loaded = list(results["img"])
    copies = [image.copy() for image in loaded]
    add_pictures(results, np.zeros((0, 7)), [picture_of(NEAR, RED)])
    for image, copy in zip(loaded, copies, strict=True):
        np.testing.assert_array_equal(image, copy)
    assert results["img"][0] is not loaded[0]


def test_pictures_of_other_cameras_and_of_boxes_off_the_image_are_left_out(load):
    behind = [0.5, -9.0, -0.4, 1.5, 1.5, 1.5, 0.0]
    pictures = [
        picture_of(behind, RED),
        picture_of(NEAR, RED, camera="CAM_ROOF"),
    ]
    results, before = drawn(load, [], pictures)
    for image, same in zip(results["img"], before, strict=True):
        np.testing.assert_array_equal(image, same)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A red truck ahead with a picture, and a bus behind without."""
    truck = gt_object("truck", MIDDLE, camera="CAM_FRONT", color=RED)
    bus = gt_object("bus", [0.0, -9.0, -0.4, 1.5, 1.5, 1.5, 0.0])
    write_gt_database(tmp_path / "nuscenes_gt_database_train", [truck, bus])
    return tmp_path


def test_pictures_and_points_are_added_together(load, database):
    results = load()
    before = [image.copy() for image in results["img"]]
    groups = {"truck": 3, "bus": 1}
    results = GroundTruthSampling(data_root=str(database), groups=groups, images=True)(results)
    assert len(results["gt_bboxes_3d"]) == 5
    assert (results["points"].tensor[:, 3] == 777).sum() == 2 * 10
    assert (results["img"][0][place(results, MIDDLE)] == RED).all()
    for view in range(1, 6):
        # The bus has no picture: it is in the points alone.
        np.testing.assert_array_equal(results["img"][view], before[view])


def test_images_stay_as_they_are_when_not_asked_for(load, database):
    results = load()
    before = [image.copy() for image in results["img"]]
    results = GroundTruthSampling(data_root=str(database), groups={"truck": 3})(results)
    assert len(results["gt_bboxes_3d"]) == 4
    np.testing.assert_array_equal(results["img"][0], before[0])


def test_images_must_be_loaded_and_not_yet_augmented(load, database):
    sampling = GroundTruthSampling(data_root=str(database), groups={"truck": 3}, images=True)
    with pytest.raises(ValueError, match=r"needs \['img'\]"):
        sampling(load(decode=False))
    with pytest.raises(ValueError, match="img_aug is not the identity"):
        sampling(MultiViewResizeCropFlipRotate(resize=(0.5, 0.5))(load()))


def test_a_damaged_picture_is_named(database):
    content = GroundTruthDatabase(database / "nuscenes_gt_database_train")
    (entry,) = content.objects["truck"]
    assert content.has_crops
    assert content.crop(entry).shape == (24, 40, 3)
    assert torch.equal(torch.from_numpy(content.crop(entry)[0, 0]), torch.tensor(RED, dtype=torch.uint8))
    path = database / "nuscenes_gt_database_train" / "image_truck.bin"
    path.write_bytes((b"no picture" * path.stat().st_size)[: path.stat().st_size])
    content = GroundTruthDatabase(database / "nuscenes_gt_database_train")
    with pytest.raises(DataFileError, match=r"image_truck\.bin holds no picture in the bytes 0 to"):
        content.crop(entry)
