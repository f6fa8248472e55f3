"""Key frames with labels of points: their paths, tokens and fractions, and what is said where they are missing."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmdet3d.datasets.transforms import RandomJitterPoints

from ponderv2.datasets import (
    IGNORE_LABEL,
    LIDARSEG_CLASSES,
    GridSampling,
    LidarRangeFilter,
    LoadLidarSweeps,
    LoadPointLabels,
    PackSensorInputs,
    PonderNuScenesSegDataset,
    UnifiedRotScaleTransFlip,
)
from ponderv2.datasets.data_files import MissingFileError
from ponderv2.datasets.info_file import InfoFileError
from ponderv2.errors import UserError
from tests.factories.lidarseg import CAR_POINTS, INFO_NAME


def dataset(root: Path, pipeline: tuple = (), **options) -> PonderNuScenesSegDataset:
    return PonderNuScenesSegDataset(data_root=str(root), ann_file=INFO_NAME, pipeline=list(pipeline), **options)


def labels_of(root: Path, **options) -> list[np.ndarray]:
    frames = dataset(root, (LoadLidarSweeps(), LoadPointLabels(), PackSensorInputs()), **options)
    return [frames[k]["data_samples"].gt_pts_seg.pts_semantic_mask.numpy() for k in range(len(frames))]


def changed(root: Path, change) -> Path:
    path = root / INFO_NAME
    info = pickle.loads(path.read_bytes())
    for frame in info["data_list"]:
        change(frame)
    path.write_bytes(pickle.dumps(info))
    return root


def test_frames_have_the_path_of_their_labels_and_the_token_of_their_sweep(labeled_root):
    frame = dataset(labeled_root)[2]
    assert frame["pts_semantic_mask_path"] == str(labeled_root / "lidarseg" / "v1.0-mini" / "lidar2_lidarseg.bin")
    assert frame["lidar_token"] == "lidar2"
    assert dataset(labeled_root).metainfo["classes"] == LIDARSEG_CLASSES


def test_the_folder_of_labels_can_be_named(labeled_root):
    prefix = {"pts": "samples/LIDAR_TOP", "sweeps": "", "pts_semantic_mask": "elsewhere"}
    frame = dataset(labeled_root, data_prefix=prefix)[0]
    assert frame["pts_semantic_mask_path"] == str(labeled_root / "elsewhere" / "lidar0_lidarseg.bin")


def test_training_gets_the_data_set_and_evaluation_does_not(labeled_root):
    training = dataset(labeled_root)
    assert training[0]["dataset"] is training
    assert "dataset" not in dataset(labeled_root, test_mode=True)[0]


@pytest.mark.parametrize("test_mode", [False, True])
def test_an_info_file_without_labels_is_refused_with_what_to_do(own_labeled_root, test_mode):
    root = changed(own_labeled_root, lambda frame: frame.pop("pts_semantic_mask_path"))
    with pytest.raises(
        InfoFileError,
        match=r"nuscenes_infos_train\.pkl, key frame frame 0: pts_semantic_mask_path, .* is missing; unpack "
        r"nuScenes-lidarseg .* info file anew with tools/create_data\.py --root .*labeled --version v1\.0-mini",
    ) as caught:
        dataset(root, test_mode=test_mode)
    assert ("load_eval_anns=False" in str(caught.value)) == test_mode


def test_a_single_frame_without_labels_is_found_at_the_start(own_labeled_root):
    root = changed(own_labeled_root, lambda f: f["token"] == "frame 3" and f.pop("pts_semantic_mask_path"))
    with pytest.raises(InfoFileError, match="key frame frame 3: pts_semantic_mask_path"):
        dataset(root)


def test_frames_to_be_predicted_alone_need_no_labels(own_labeled_root):
    root = changed(own_labeled_root, lambda frame: frame.pop("pts_semantic_mask_path"))
    shutil.rmtree(root / "lidarseg")
    pipeline = (LoadLidarSweeps(), LoadPointLabels(evaluation=True), PackSensorInputs())
    sample = dataset(root, pipeline, test_mode=True, load_eval_anns=False)[1]["data_samples"]
    assert sample.inverse_map.tolist() == list(range(300))
    assert "eval_ann_info" not in sample
    assert "gt_pts_seg" not in sample


def test_a_frame_to_predict_needs_the_token_of_its_sweep(own_labeled_root):
    root = changed(own_labeled_root, lambda frame: frame["lidar_points"].pop("sample_data_token"))
    assert "lidar_token" not in dataset(root)[0]
    with pytest.raises(InfoFileError, match=r"lidar_points\.sample_data_token, .* is missing; make the info file anew"):
        dataset(root, test_mode=True)


def test_a_path_that_is_no_text_is_refused(own_labeled_root):
    root = changed(own_labeled_root, lambda frame: frame.update(pts_semantic_mask_path=5))
    with pytest.raises(InfoFileError, match="pts_semantic_mask_path: expected the name of a file, got 5"):
        dataset(root)


def test_labels_that_were_not_unpacked_are_named_with_frame_and_key(own_labeled_root):
    shutil.rmtree(own_labeled_root / "lidarseg")
    with pytest.raises(
        MissingFileError,
        match=r"key frame frame 0: pts_semantic_mask_path: labels .*lidar0_lidarseg\.bin does not exist",
    ):
        labels_of(own_labeled_root)


def test_fractions_of_frames_and_scenes_are_those_of_every_data_set(labeled_root):
    assert len(dataset(labeled_root, fraction=0.25)) == 1
    frames = dataset(labeled_root, fraction=0.5, fraction_by="scenes")
    assert len({frames[k]["scene_token"] for k in range(len(frames))}) == 1


def test_weak_labels_keep_every_frame_and_a_share_of_its_labels(labeled_root):
    full, weak = labels_of(labeled_root), labels_of(labeled_root, fraction=0.1, fraction_by="points")
    assert len(weak) == 4
    for whole, few in zip(full, weak, strict=True):
        known = few != IGNORE_LABEL
        assert known.sum() == round(0.1 * (whole != IGNORE_LABEL).sum())
        np.testing.assert_array_equal(few[known], whole[known])


def test_weak_labels_are_the_same_in_every_epoch_and_hang_on_the_seed(labeled_root):
    first = labels_of(labeled_root, fraction=0.1, fraction_by="points")
    again = labels_of(labeled_root, fraction=0.1, fraction_by="points")
    other = labels_of(labeled_root, fraction=0.1, fraction_by="points", fraction_seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_the_whole_share_of_points_is_what_there_is_without_a_fraction(labeled_root):
    whole = labels_of(labeled_root, fraction=1.0, fraction_by="points")
    assert all(np.array_equal(a, b) for a, b in zip(labels_of(labeled_root), whole, strict=True))
    assert "label_fraction" not in dataset(labeled_root, fraction=1.0, fraction_by="points")[0]


def test_evaluation_is_refused_weak_labels(labeled_root):
    with pytest.raises(UserError, match=r"fraction_by='points': weak labels are for training"):
        dataset(labeled_root, fraction=0.1, fraction_by="points", test_mode=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 0.0, "fraction_by": "points"}, r"fraction: expected a share in \(0, 1\], got 0"),
        ({"fraction_by": "boxes"}, r"fraction_by: expected 'frames', 'scenes' or 'points', got 'boxes'"),
    ],
)
def test_another_share_or_unit_is_refused(labeled_root, options, message):
    with pytest.raises(UserError, match=message):
        dataset(labeled_root, **options)


def test_boxes_are_counted_by_the_names_of_the_classes_of_points(labeled_root):
    counted = dict(zip(LIDARSEG_CLASSES, dataset(labeled_root).num_ins_per_cat, strict=True))
    assert counted["car"] == 4
    assert sum(counted.values()) == 4


def test_a_frame_tells_the_classes_of_its_points(labeled_root):
    frames = dataset(labeled_root)
    labels = labels_of(labeled_root)[1]
    assert frames.get_cat_ids(1) == set(labels.tolist()) - {IGNORE_LABEL}
    assert (labels == LIDARSEG_CLASSES.index("car")).sum() == CAR_POINTS


def test_a_frame_tells_only_the_classes_of_its_weak_labels(labeled_root):
    weak = {"fraction": 0.001, "fraction_by": "points"}
    found = [set(labels[labels != IGNORE_LABEL].tolist()) for labels in labels_of(labeled_root, **weak)]
    frames = dataset(labeled_root, **weak)
    assert [frames.get_cat_ids(k) for k in range(len(frames))] == found
    assert found[0] < dataset(labeled_root).get_cat_ids(0)


def test_labeled_tokens_are_those_of_the_fraction(labeled_root):
    every = [f"frame {k}" for k in range(4)]
    assert dataset(labeled_root).labeled_tokens() == every
    assert dataset(labeled_root, fraction=0.1, fraction_by="points").labeled_tokens() == every
    half = dataset(labeled_root, fraction=0.5)
    assert half.labeled_tokens() == [half[k]["token"] for k in range(2)]
    assert dataset(labeled_root, fraction=0.5, keep_unlabeled=True).labeled_tokens() == half.labeled_tokens()


def test_the_augmentation_of_the_public_baseline_keeps_labels_with_their_points(labeled_root):
    plain = dataset(labeled_root, (LoadLidarSweeps(), LoadPointLabels(), PackSensorInputs()))[0]
    by_intensity = dict(
        zip(
            plain["inputs"]["points"][:, 3].tolist(),
            plain["data_samples"].gt_pts_seg.pts_semantic_mask.tolist(),
            strict=True,
        )
    )
    pipeline = (
        LoadLidarSweeps(),
        LoadPointLabels(),
        UnifiedRotScaleTransFlip(
            rotation=(-3.1416, 3.1416), rotation_prob=0.5, scale=(0.9, 1.1), flip_x=0.5, flip_y=0.5
        ),
        RandomJitterPoints(jitter_std=[0.005] * 3, clip_range=[-0.02, 0.02]),
        LidarRangeFilter(point_cloud_range=(-54, -54, -5, 54, 54, 3)),
        GridSampling(cell_size=0.05),
        PackSensorInputs(),
    )
    np.random.seed(0)
    packed = dataset(labeled_root, pipeline)[0]
    points, labels = packed["inputs"]["points"], packed["data_samples"].gt_pts_seg.pts_semantic_mask
    assert 50 < len(points) < 300
    assert [by_intensity[i] for i in points[:, 3].tolist()] == labels.tolist()
    # Distances to the LiDAR are those of before, scaled, but for the jitter.
    distances = plain["inputs"]["points"][:, :3].norm(dim=1).tolist()
    before = dict(zip(by_intensity, distances, strict=True))
    scale = packed["data_samples"].metainfo["pcd_scale_factor"]
    jitter = points[:, :3].norm(dim=1).numpy() - scale * np.array([before[i] for i in points[:, 3].tolist()])
    assert 0.002 < np.abs(jitter).max() < 0.02 * 3**0.5 + 1e-3


def test_boxes_that_are_numbered_otherwise_are_refused(own_labeled_root):
    path = own_labeled_root / INFO_NAME
    info = pickle.loads(path.read_bytes())
    info["metainfo"]["categories"] = {"car": 3}
    path.write_bytes(pickle.dumps(info))
    with pytest.raises(InfoFileError, match=r"metainfo\.categories has 'car' as 3, expected 0"):
        dataset(own_labeled_root)
