"""One augmentation for points, boxes and calibration: they stay together."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet3d.structures import LiDARInstance3DBoxes

from ponderv2.datasets import UnifiedRotScaleTransFlip
from ponderv2.datasets.transforms.loading import rig_of
from ponderv2.geometry import (
    box_corners,
    flip_matrix,
    project,
    rotation_z,
    scaling_matrix,
    translation_matrix,
)

QUICK = settings(max_examples=25, deadline=None)
PRESET_KEYS = ("pcd_rotation_angle", "pcd_scale_factor", "pcd_trans", "pcd_flip")
presets = st.fixed_dictionaries(
    {
        "pcd_rotation_angle": st.floats(-math.pi, math.pi),
        "pcd_scale_factor": st.floats(0.5, 2.0),
        "pcd_trans": st.tuples(*[st.floats(-3, 3)] * 3),
        "pcd_flip": st.tuples(st.booleans(), st.booleans()),
    }
)
WILD = {
    "rotation": (-0.785, 0.785),
    "scale": (0.9, 1.1),
    "translation_std": (0.5, 0.5, 0.5),
    "flip_x": 0.5,
    "flip_y": 0.5,
}


@contextmanager
def in_double(results: dict) -> Iterator[dict]:
    """mmdet3d keeps and turns boxes in float32; in float64 the comparison is exact."""
    boxes = results["gt_bboxes_3d"]
    boxes.tensor = boxes.tensor.double()
    torch.set_default_dtype(torch.float64)
    try:
        yield results
    finally:
        torch.set_default_dtype(torch.float32)


def gravity_boxes(boxes: LiDARInstance3DBoxes) -> torch.Tensor:
    return torch.cat([boxes.gravity_center, boxes.tensor[:, 3:7]], dim=1)


@QUICK
@given(presets)
def test_corners_of_mmdet3d_boxes_keep_their_pixels_and_depths(load, preset):
    with in_double(load(decode=False)) as results:
        before = box_corners(gravity_boxes(results["gt_bboxes_3d"])).reshape(1, -1, 3)
        pixels, depth = project(before.expand(6, -1, -1), rig_of(results).lidar2img)
        results = UnifiedRotScaleTransFlip()(results | preset)
    after = box_corners(gravity_boxes(results["gt_bboxes_3d"]))
    if sum(preset["pcd_flip"]) == 1:
        # A mirrored box has its left where its right was; front and bottom stay.
        after = after[:, [2, 3, 0, 1, 6, 7, 4, 5]]
    moved, moved_depth = project(after.reshape(1, -1, 3).expand(6, -1, -1), rig_of(results).lidar2img)
    seen = depth > 0.5
    assert seen.sum() >= 24
    torch.testing.assert_close(moved_depth, depth, rtol=0, atol=1e-9)
    torch.testing.assert_close(moved[seen], pixels[seen], rtol=0, atol=1e-4)


@QUICK
@given(presets)
def test_points_stay_in_their_boxes_at_the_same_place(load, preset):
    with in_double(load(decode=False)) as results:
        boxes = gravity_boxes(results["gt_bboxes_3d"])
        share = torch.rand(3, 50, 3) - 0.5
        points = torch.zeros(150, 5)
        points[:, :3] = to_world(boxes, share).reshape(-1, 3)
        results["points"].tensor = points
        results = UnifiedRotScaleTransFlip()(results | preset)
    moved = gravity_boxes(results["gt_bboxes_3d"])
    mirrored = torch.tensor([1.0, -1.0 if sum(preset["pcd_flip"]) == 1 else 1.0, 1.0], dtype=torch.float64)
    expected = to_world(moved, share * mirrored).reshape(-1, 3)
    torch.testing.assert_close(results["points"].tensor[:, :3], expected, rtol=0, atol=1e-9)


def to_world(boxes: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Places in boxes, as shares of their sizes from the centre, in the LiDAR frame."""
    local = share * boxes[:, None, 3:6]
    turned = [local[k] @ rotation_z(box[6].item())[:3, :3].T + box[:3] for k, box in enumerate(boxes)]
    return torch.stack(turned)


@QUICK
@given(presets)
def test_the_matrix_is_what_happened_to_the_points_in_the_published_order(load, preset):
    results = load(decode=False)
    before = results["points"].tensor.clone()
    results = UnifiedRotScaleTransFlip()(results | preset)
    order = (
        rotation_z(preset["pcd_rotation_angle"]),
        scaling_matrix(preset["pcd_scale_factor"]),
        translation_matrix(preset["pcd_trans"]),
        flip_matrix(*preset["pcd_flip"]),
    )
    expected = before[:, :3].double()
    for matrix in order:
        expected = expected @ matrix[:3, :3].T + matrix[:3, 3]
    by_matrix = before[:, :3].double() @ torch.from_numpy(results["lidar_aug"])[:3, :3].T + results["lidar_aug"][:3, 3]
    after = results["points"].tensor
    torch.testing.assert_close(by_matrix, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(after[:, :3].double(), expected, rtol=0, atol=1e-5)
    assert torch.equal(after[:, 3:], before[:, 3:])


@QUICK
@given(presets)
def test_velocities_turn_scale_and_mirror_and_headings_stay_in_one_turn(load, preset):
    with in_double(load(decode=False)) as results:
        before = results["gt_bboxes_3d"].tensor.clone()
        results = UnifiedRotScaleTransFlip()(results | preset)
    after = results["gt_bboxes_3d"].tensor
    linear = torch.from_numpy(results["lidar_aug"])[:2, :2]
    torch.testing.assert_close(after[:, 7:9], before[:, 7:9] @ linear.T, rtol=0, atol=1e-9)
    heading = torch.stack([before[:, 6].cos(), before[:, 6].sin()], dim=1) @ linear.T
    torch.testing.assert_close(
        torch.stack([after[:, 6].cos(), after[:, 6].sin()], dim=1),
        heading / preset["pcd_scale_factor"],
        rtol=0,
        atol=1e-9,
    )
    torch.testing.assert_close(after[:, 3:6], before[:, 3:6] * preset["pcd_scale_factor"])
    assert (after[:, 6].abs() <= math.pi + 1e-9).all()


def test_drawn_values_are_recorded_and_reproduce_the_augmentation(load):
    np.random.seed(1)
    drawn = UnifiedRotScaleTransFlip(**WILD)(load(decode=False))
    again = UnifiedRotScaleTransFlip(**WILD)(load(decode=False) | {k: drawn[k] for k in PRESET_KEYS})
    np.testing.assert_array_equal(drawn["lidar_aug"], again["lidar_aug"])
    assert torch.equal(drawn["points"].tensor, again["points"].tensor)
    other = UnifiedRotScaleTransFlip(**WILD)(load(decode=False))
    assert not np.allclose(drawn["lidar_aug"], other["lidar_aug"])


def test_presetting_one_value_leaves_the_others_as_drawn(load):
    np.random.seed(2)
    free = UnifiedRotScaleTransFlip(**WILD)(load(decode=False))
    np.random.seed(2)
    fixed = UnifiedRotScaleTransFlip(**WILD)(load(decode=False) | {"pcd_rotation_angle": 0.1})
    assert fixed["pcd_rotation_angle"] == 0.1 != free["pcd_rotation_angle"]
    assert fixed["pcd_scale_factor"] == free["pcd_scale_factor"]
    np.testing.assert_array_equal(fixed["pcd_trans"], free["pcd_trans"])
    np.testing.assert_array_equal(fixed["pcd_flip"], free["pcd_flip"])


def test_draws_stay_in_their_ranges_and_flips_come_as_often_as_asked():
    np.random.seed(0)
    augment = UnifiedRotScaleTransFlip(rotation=(-0.3, 0.1), scale=(0.95, 1.05), flip_x=0.2, flip_y=1.0)
    drawn = [augment({"lidar_aug": np.eye(4)}) for _ in range(500)]
    angles = [d["pcd_rotation_angle"] for d in drawn]
    scales = [d["pcd_scale_factor"] for d in drawn]
    assert -0.3 <= min(angles) < -0.28
    assert 0.08 < max(angles) <= 0.1
    assert 0.95 <= min(scales) < 0.96
    assert 1.04 < max(scales) <= 1.05
    flips = np.array([d["pcd_flip"] for d in drawn])
    assert flips[:, 0].mean() == pytest.approx(0.2, abs=0.06)
    assert flips[:, 1].all()
    assert np.ptp([d["pcd_trans"] for d in drawn]) == 0


def test_a_scene_is_turned_as_often_as_asked():
    np.random.seed(0)
    augment = UnifiedRotScaleTransFlip(rotation=(-3, 3), scale=(0.9, 1.1), rotation_prob=0.25)
    drawn = [augment({"lidar_aug": np.eye(4)}) for _ in range(500)]
    assert np.mean([d["pcd_rotation_angle"] != 0 for d in drawn]) == pytest.approx(0.25, abs=0.06)
    # The rest is drawn all the same.
    assert len({d["pcd_scale_factor"] for d in drawn}) == 500


def test_a_scene_that_is_always_turned_takes_the_draws_that_it_always_took():
    drawn = []
    for options in ({}, {"rotation_prob": 1.0}):
        np.random.seed(0)
        augment = UnifiedRotScaleTransFlip(rotation=(-3, 3), **options)
        drawn.append([augment({"lidar_aug": np.eye(4)})["pcd_rotation_angle"] for _ in range(5)])
    assert drawn[0] == drawn[1]


def test_the_default_changes_nothing(load):
    results = load(decode=False)
    points, boxes = results["points"].tensor.clone(), results["gt_bboxes_3d"].tensor.clone()
    results = UnifiedRotScaleTransFlip()(results)
    np.testing.assert_array_equal(results["lidar_aug"], np.eye(4))
    torch.testing.assert_close(results["points"].tensor, points, rtol=0, atol=0)
    torch.testing.assert_close(results["gt_bboxes_3d"].tensor, boxes, rtol=0, atol=1e-6)


def test_calibration_alone_is_augmented_when_there_is_nothing_else(load):
    np.random.seed(3)
    results = {k: v for k, v in load(decode=False).items() if k not in ("points", "gt_bboxes_3d")}
    results = UnifiedRotScaleTransFlip(**WILD)(results)
    assert not np.allclose(results["lidar_aug"], np.eye(4))
    assert "points" not in results


def test_no_points_and_no_boxes_are_augmented_too(load):
    results = load(decode=False)
    results["points"].tensor = results["points"].tensor[:0]
    results["gt_bboxes_3d"] = results["gt_bboxes_3d"][:0]
    results = UnifiedRotScaleTransFlip()(results | {"pcd_rotation_angle": 0.5, "pcd_flip": (True, True)})
    assert results["points"].tensor.shape == (0, 5)
    assert results["gt_bboxes_3d"].tensor.shape == (0, 9)


def test_two_augmentations_compose(load):
    first = UnifiedRotScaleTransFlip()(load(decode=False) | {"pcd_rotation_angle": 0.3, "pcd_trans": (1.0, 2.0, 0.0)})
    original = load(decode=False)["points"].tensor[:, :3].double()
    second = {k: v for k, v in first.items() if k not in PRESET_KEYS} | {
        "pcd_scale_factor": 1.3,
        "pcd_flip": (True, False),
    }
    second = UnifiedRotScaleTransFlip()(second)
    both = torch.from_numpy(second["lidar_aug"])
    torch.testing.assert_close(
        second["points"].tensor[:, :3].double(), original @ both[:3, :3].T + both[:3, 3], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("low", [0.0, -0.5])
def test_a_scale_that_is_not_positive_is_refused(low):
    with pytest.raises(ValueError, match="scale: expected positive factors"):
        UnifiedRotScaleTransFlip(scale=(low, 1.0))
