"""The published pipelines: their order, their numbers, and that they run on a key frame."""

import copy
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from ponderv2.datasets import GroundTruthSampling, PonderCBGSDataset, transforms_of
from ponderv2.engine import DisableTransformsHook, set_data_root
from ponderv2.registry import DATASETS, HOOKS
from tests.factories.gt_database import gt_object, write_gt_database
from tests.factories.keyframe import INFO_NAME

CONFIGS = Path(__file__).parents[2] / "configs" / "detection"
RECIPES = {
    "camera": "uvtr_camera_convnext_s_vs0p075_4xb1_24e_nuscenes",
    "camera without depth loss": "uvtr_camera_convnext_s_vs0p1_4xb1_12e_nuscenes_half",
    "lidar": "uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes_fifth",
    "fusion": "uvtr_fusion_convnext_s_vs0p075_4xb2_12e_nuscenes_fifth",
    "final lidar": "uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes",
    "final fusion": "uvtr_fusion_convnext_s_vs0p075_4xb2_20e_nuscenes",
}


def load(recipe: str) -> Config:
    """A recipe whose training takes every frame: there is one alone."""
    config = Config.fromfile(str(CONFIGS / f"{RECIPES[recipe]}.py"))
    config.train_dataloader.dataset.pop("load_interval", None)
    return config


def step_of(pipeline: list[dict], kind: str) -> dict:
    (step,) = [step for step in pipeline if step["type"].__name__ == kind]
    return step


def kinds(pipeline: list[dict]) -> list[str]:
    return [step["type"].__name__ for step in pipeline]


@pytest.fixture
def data(frame_root: Path, tmp_path: Path) -> Path:
    """The factory key frame under the names of the recipes, and a database with two objects."""
    for entry in frame_root.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    for split in ("train", "val"):
        (tmp_path / f"nuscenes_infos_{split}.pkl").symlink_to(frame_root / INFO_NAME)
    objects = [
        gt_object("bus", [20.0, 20.0, 0.0, 9.0, 2.5, 3.0, 0.0]),
        gt_object("barrier", [0.5, 12.0, -0.4, 1.5, 1.5, 1.5, 0.0], velocity=(None, None), camera="CAM_FRONT"),
    ]
    write_gt_database(tmp_path / "nuscenes_gt_database_train", objects)
    return tmp_path


def first_sample(dataset: dict, root: Path) -> dict:
    dataset = copy.deepcopy(dataset)
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
    config = load("camera without depth loss")
    sample = first_sample(config.train_dataloader.dataset, data)
    assert set(sample["inputs"]) == {"img", "rig"}
    assert_labelled(sample)


def test_lidar_training_opens_no_image_and_takes_many_sweeps(data):
    config = load("lidar")
    sample = first_sample(config.train_dataloader.dataset, data)
    assert set(sample["inputs"]) == {"points"}
    assert_labelled(sample)
    pipeline = config.train_dataloader.dataset.pipeline
    assert step_of(pipeline, "LoadLidarSweeps").num_sweeps == 9
    augment = step_of(pipeline, "UnifiedRotScaleTransFlip")
    assert (augment.rotation, augment.scale) == ((-0.785, 0.785), (0.9, 1.1))
    assert (augment.translation_std, augment.flip_x, augment.flip_y) == ((0.5, 0.5, 0.5), 0.5, 0.5)


def test_final_lidar_training_balances_classes_and_samples_objects_until_that_is_switched_off(data):
    config = load("final lidar")
    sample = first_sample(config.train_dataloader.dataset, data)
    # The barrier, whose velocity is unknown, and the bus.
    assert_labelled(sample, more=2)
    assert sample["data_samples"].gt_instances_3d.bboxes_3d.tensor[:, 7:].isnan().all(dim=1).sum() == 1
    dataset = copy.deepcopy(config.train_dataloader.dataset)
    set_data_root(dataset, str(data))
    built = DATASETS.build(dataset)
    assert isinstance(built, PonderCBGSDataset)
    (hook,) = [HOOKS.build(hook) for hook in config.custom_hooks]
    assert isinstance(hook, DisableTransformsHook)
    assert hook.after == 15
    (sampling,) = hook.find(built)
    assert isinstance(sampling, GroundTruthSampling)
    sampling.switch.set(False)
    assert_labelled(built[0])


def test_a_label_fraction_of_the_final_lidar_recipe_samples_objects_of_its_own_frames_alone(data):
    info = pickle.loads((data / INFO_NAME).read_bytes())
    frames = [info["data_list"][0] | {"token": f"at {k}", "timestamp": float(k)} for k in range(10)]
    path = data / "nuscenes_infos_train.pkl"
    path.unlink()
    path.write_bytes(pickle.dumps(info | {"data_list": frames}))
    buses = [gt_object("bus", [5.0 * k, 30.0, 0.0, 2.0, 2.0, 3.0, 0.0], sample_token=f"at {k}") for k in range(10)]
    write_gt_database(data / "nuscenes_gt_database_train", buses)
    config = load("final lidar")
    dataset = config.train_dataloader.dataset
    dataset.dataset.fraction = 0.3
    set_data_root(dataset, str(data))
    built = DATASETS.build(dataset)
    labelled = {built.dataset.get_data_info(k)["token"] for k in range(len(built.dataset))}
    assert len(labelled) == 3
    (sampling,) = (t for t in transforms_of(built) if isinstance(t, GroundTruthSampling))
    places = {token: 5.0 * int(token.split()[1]) for token in labelled}
    rows = sampling.tables["bus"][sampling.rows["bus"]]
    assert set(rows["box"][:, 0].tolist()) == set(places.values())
    # The frame's three boxes, and all that there is to add.
    assert len(built[0]["data_samples"].gt_instances_3d) == 6


@pytest.mark.parametrize(("recipe", "more"), [("fusion", 0), ("final fusion", 2)])
def test_fusion_training_has_both_sensors_and_samples_objects_in_both_in_the_final_recipe(data, recipe, more):
    config = load(recipe)
    sample = first_sample(config.train_dataloader.dataset, data)
    assert set(sample["inputs"]) == {"img", "rig", "points"}
    assert_labelled(sample, more)
    if more:
        pipeline = config.train_dataloader.dataset.pipeline
        order = kinds(pipeline)
        assert order.index("GroundTruthSampling") < order.index("MultiViewPhotometricDistortion")
        assert order.index("GroundTruthSampling") < order.index("UnifiedRotScaleTransFlip")
        assert step_of(pipeline, "GroundTruthSampling").images


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
    in_range = step_of(config.train_dataloader.dataset.pipeline, "ObjectRangeFilter")
    assert in_range.point_cloud_range == (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)


def test_grid_masks_are_the_published_ones_and_of_training_alone():
    for sensor in ("camera", "fusion"):
        config = load(sensor)
        mask = step_of(config.train_dataloader.dataset.pipeline, "MultiViewGridMask")
        assert (mask.prob, mask.ratio, mask.mode) == (0.7, 0.5, 1)
        assert kinds(config.train_dataloader.dataset.pipeline)[-2] == "MultiViewGridMask"
        assert "MultiViewGridMask" not in kinds(config.val_dataloader.dataset.pipeline)


@pytest.mark.parametrize("recipe", ["camera", "final lidar", "fusion"])
def test_they_survive_being_written_and_read(recipe, tmp_path, data):
    config = load(recipe)
    config.dump(tmp_path / "dumped.py")
    again = Config.fromfile(str(tmp_path / "dumped.py"))
    dataset = again.train_dataloader.dataset
    set_data_root(dataset, str(data))
    assert len(DATASETS.build(dataset)[0]["data_samples"].gt_instances_3d) >= 3
    if recipe == "final lidar":
        (hook,) = again.custom_hooks
        assert len(HOOKS.build(hook).find(DATASETS.build(dataset))) == 1
