"""The published pipelines: their order, their numbers, and that they run on a key frame."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.factories.keyframe import INFO_NAME
from tests.factories.gt_database import made_up_object, write_made_up_database
from mmengine.config import Config

from ponderv2.datasets import PasteObjects, PonderCBGSDataset
from ponderv2.engine import DisableTransformsHook, set_data_root
from ponderv2.registry import DATASETS, HOOKS

BASES = Path(__file__).parents[2] / "configs" / "_base_"


def load(sensor: str) -> Config:
    return Config.fromfile(str(BASES / f"nuscenes_detection_{sensor}.py"))


def kinds(pipeline: list[dict]) -> list[str]:
    return [step["type"].__name__ for step in pipeline]


@pytest.fixture
def data(frame_root: Path, tmp_path: Path) -> Path:
    """The made-up key frame under the names of the recipes, and a database with two objects."""
    for entry in frame_root.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    for split in ("train", "val"):
        (tmp_path / f"nuscenes_infos_{split}.pkl").symlink_to(frame_root / INFO_NAME)
    objects = [
        made_up_object("bus", [20.0, 20.0, 0.0, 9.0, 2.5, 3.0, 0.0]),
        made_up_object("barrier", [0.5, 12.0, -0.4, 1.5, 1.5, 1.5, 0.0], velocity=(None, None), camera="CAM_FRONT"),
    ]
    write_made_up_database(tmp_path / "nuscenes_paste_train", objects)
    return tmp_path


def first_sample(dataset: dict, root: Path, pipeline: list[dict] | None = None) -> dict:
    dataset = copy.deepcopy(dataset)
    if pipeline is not None:
        dataset["pipeline"] = pipeline
    set_data_root(dataset, str(root))
    np.random.seed(0)
    return DATASETS.build(dataset)[0]


def assert_labelled(sample: dict, more: int = 0) -> None:
    gt = sample["data_samples"].gt_instances_3d
    assert gt.bboxes_3d.tensor.shape == (3 + more, 9)
    assert gt.labels_3d.dtype == torch.int64


def test_camera_training_has_images_and_the_targets_of_the_depth_loss(data):
    config = load("camera")
    sample = first_sample(config.train_dataloader.dataset, data)
    assert sample["inputs"]["img"].shape == (6, 3, 90, 160)
    # Two earlier sweeps are there.
    assert len(sample["inputs"]["points"][:, 4].unique()) == 3
    assert_labelled(sample)
    angle = sample["data_samples"].pcd_rotation_angle
    assert 0 < abs(angle) < math.pi / 8
    assert 0.95 < sample["data_samples"].pcd_scale_factor < 1.05
    assert sample["data_samples"].pcd_flip.tolist() == [False, False]
    assert sample["data_samples"].pcd_trans.tolist() == [0, 0, 0]


def test_camera_training_without_depth_loss_opens_no_points(data):
    config = load("camera")
    sample = first_sample(config.train_dataloader.dataset, data, config.without_points)
    assert set(sample["inputs"]) == {"img", "rig"}
    assert_labelled(sample)


def test_lidar_training_opens_no_image_and_takes_many_sweeps(data):
    config = load("lidar")
    sample = first_sample(config.train_dataloader.dataset, data)
    assert set(sample["inputs"]) == {"points"}
    assert_labelled(sample)
    assert config.load_sweeps.num_sweeps == 9
    augment = config.augment
    assert (augment.rotation, augment.scale) == ((-0.785, 0.785), (0.9, 1.1))
    assert (augment.translation_std, augment.flip_x, augment.flip_y) == ((0.5, 0.5, 0.5), 0.5, 0.5)


def test_final_lidar_training_balances_classes_and_pastes_until_it_fades(data):
    config = load("lidar")
    sample = first_sample(config.balanced, data)
    # The barrier, whose velocity is unknown, and the bus.
    assert_labelled(sample, more=2)
    assert sample["data_samples"].gt_instances_3d.bboxes_3d.tensor[:, 7:].isnan().all(dim=1).sum() == 1
    dataset = copy.deepcopy(config.balanced)
    set_data_root(dataset, str(data))
    built = DATASETS.build(dataset)
    assert isinstance(built, PonderCBGSDataset)
    hook = HOOKS.build(config.fade)
    assert isinstance(hook, DisableTransformsHook)
    assert hook.after == 15
    (paste,) = hook.find(built)
    assert isinstance(paste, PasteObjects)
    paste.switch.set(False)
    assert_labelled(built[0])


@pytest.mark.parametrize("paste", [False, True])
def test_fusion_training_has_both_and_pastes_into_both_when_asked(data, paste):
    config = load("fusion")
    pipeline = config.with_paste if paste else None
    sample = first_sample(config.train_dataloader.dataset, data, pipeline)
    assert set(sample["inputs"]) == {"img", "rig", "points"}
    assert_labelled(sample, more=2 if paste else 0)
    pasted = kinds(config.with_paste)
    assert pasted.index("PasteObjects") < pasted.index("MultiViewPhotometricDistortion")
    assert pasted.index("PasteObjects") < pasted.index("UnifiedRotScaleTransFlip")
    assert config.paste.images


@pytest.mark.parametrize(
    ("sensor", "inputs"), [("camera", {"img", "rig"}), ("lidar", {"points"}), ("fusion", {"img", "rig", "points"})]
)
def test_evaluation_is_the_same_every_time_and_augments_nothing(data, sensor, inputs):
    config = load(sensor)
    dataset = config.test_dataloader.dataset
    first, second = (first_sample(dataset, data)["inputs"] for _ in range(2))
    assert set(first) == inputs
    for name in inputs - {"rig"}:
        assert torch.equal(first[name], second[name])
    for step in dataset.pipeline:
        if step["type"].__name__ == "LoadLidarSweeps":
            assert step.test_mode
    assert dataset.get("load_interval", 1) == 1
    assert kinds(dataset.pipeline)[-1] == "PackSensorInputs"


@pytest.mark.parametrize("sensor", ["camera", "lidar", "fusion"])
def test_boxes_are_cut_at_the_range_after_augmentation(data, sensor):
    config = load(sensor)
    steps = kinds(config.train_dataloader.dataset.pipeline)
    assert steps.index("ObjectRangeFilter") > steps.index("UnifiedRotScaleTransFlip")
    assert config.train_dataloader.dataset.use_valid_flag
    assert config.in_range.point_cloud_range == config.point_cloud_range


def test_grid_masks_are_the_published_ones_and_of_training_alone():
    for sensor in ("camera", "fusion"):
        config = load(sensor)
        mask = config.grid_mask
        assert (mask.prob, mask.ratio, mask.mode) == (0.7, 0.5, 1)
        assert kinds(config.train_dataloader.dataset.pipeline)[-2] == "MultiViewGridMask"
        assert "MultiViewGridMask" not in kinds(config.val_dataloader.dataset.pipeline)


@pytest.mark.parametrize("sensor", ["camera", "lidar", "fusion"])
def test_they_survive_being_written_and_read(sensor, tmp_path, data):
    config = load(sensor)
    config.dump(tmp_path / "dumped.py")
    again = Config.fromfile(str(tmp_path / "dumped.py"))
    dataset = again.balanced if sensor == "lidar" else again.train_dataloader.dataset
    set_data_root(dataset, str(data))
    assert len(DATASETS.build(dataset)[0]["data_samples"].gt_instances_3d) >= 3
    if sensor == "lidar":
        assert len(HOOKS.build(again.fade).find(DATASETS.build(dataset))) == 1
