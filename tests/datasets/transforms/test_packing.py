"""Samples are packed as they are; what is absent stays absent."""

import numpy as np
import pytest
import torch
from mmdet3d.structures import Det3DDataSample

from ponderv2.datasets import PackSensorInputs, SampleCameraRays, UnifiedRotScaleTransFlip
from ponderv2.datasets.transforms.loading import rig_of
from ponderv2.structures import CameraRig, RayBatch

RANGE = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)


def test_everything_that_was_gathered_is_packed(load):
    results = SampleCameraRays(RANGE, rays_per_camera=32)(UnifiedRotScaleTransFlip(rotation=(0.1, 0.2))(load()))
    packed = PackSensorInputs()(results)
    inputs, sample = packed["inputs"], packed["data_samples"]
    assert set(inputs) == {"img", "rig", "points", "rays"}
    assert inputs["img"].dtype == torch.uint8
    assert inputs["img"].shape == (6, 3, 90, 160)
    assert inputs["img"].is_contiguous(memory_format=torch.channels_last)
    for view in range(6):
        np.testing.assert_array_equal(inputs["img"][view].permute(1, 2, 0).numpy(), results["img"][view])
    assert isinstance(inputs["rig"], CameraRig)
    assert isinstance(inputs["rays"], RayBatch)
    assert inputs["rig"] is results["rig"]
    assert inputs["points"].dtype == torch.float32
    assert torch.equal(inputs["points"], results["points"].tensor)
    assert isinstance(sample, Det3DDataSample)
    assert torch.equal(sample.gt_instances_3d.bboxes_3d.tensor, results["gt_bboxes_3d"].tensor)
    assert sample.gt_instances_3d.labels_3d.tolist() == [0, 1, 2]


def test_meta_information_is_kept_by_name(load):
    results = UnifiedRotScaleTransFlip(rotation=(0.1, 0.2))(load())
    meta = PackSensorInputs()(results)["data_samples"].metainfo
    assert meta["token"] == "factory"
    assert meta["pcd_rotation_angle"] == results["pcd_rotation_angle"]
    assert meta["cameras"][0] == "CAM_FRONT"
    np.testing.assert_array_equal(meta["lidar_aug"], results["lidar_aug"])
    assert "images" not in meta
    assert PackSensorInputs(meta_keys=("timestamp", "no such key"))(results)["data_samples"].metainfo == {
        "timestamp": 100.0
    }


def test_a_rig_is_made_when_no_transform_made_one(load):
    results = UnifiedRotScaleTransFlip(rotation=(0.1, 0.2))(load())
    packed = PackSensorInputs()(results)["inputs"]["rig"]
    assert torch.equal(packed.lidar2img, rig_of(results).lidar2img)


@pytest.mark.parametrize(
    ("absent", "left"),
    [
        (("img",), {"rig", "points"}),
        (("points",), {"img", "rig"}),
        (("img", "lidar2cam"), {"points"}),
        (("img", "lidar2cam", "points"), set()),
    ],
)
def test_absent_things_stay_absent(load, absent, left):
    results = {k: v for k, v in load().items() if k not in absent}
    assert set(PackSensorInputs()(results)["inputs"]) == left


def test_without_boxes_there_are_no_instances(load):
    results = {k: v for k, v in load().items() if not k.startswith("gt_")}
    assert "gt_instances_3d" not in PackSensorInputs()(results)["data_samples"]


def test_views_of_different_sizes_are_refused_with_their_sizes(load):
    results = load()
    results["img"][1] = results["img"][1][:60]
    with pytest.raises(ValueError, match=r"factory: views differ in size: \[\(60, 160, 3\), \(90, 160, 3\)\]"):
        PackSensorInputs()(results)


@pytest.mark.parametrize("change", ["none", "replaced", "order", "mirrored"])
def test_images_are_copied_only_where_they_are_no_longer_as_they_were_read(load, change):
    results = load()
    read = results["img"][0].base
    if change == "replaced":
        results["img"][2] = results["img"][2].copy()
    elif change == "order":
        results["img"][:2] = results["img"][1::-1]
    elif change == "mirrored":
        results["img"][0] = results["img"][0][:, ::-1]
    packed = PackSensorInputs()(results)["inputs"]["img"]
    np.testing.assert_array_equal(packed.permute(0, 2, 3, 1).numpy(), np.stack(results["img"]))
    assert np.shares_memory(packed.numpy(), read) == (change == "none")
