"""Classes and intensities of rays: those of the returns that the rays go to, and of labeled frames alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ponderv2.datasets import (
    GroundTruthSampling,
    LoadCameras,
    LoadLidarSweeps,
    LoadPointLabels,
    PackSensorInputs,
    PonderNuScenesSegDataset,
    SampleCameraRays,
    SampleLidarRays,
    UnifiedRotScaleTransFlip,
)
from ponderv2.errors import UserError
from tests.factories.lidarseg import INFO_NAME

RANGE = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)


@pytest.fixture(params=["cameras", "lidar"])
def sampler(request) -> type:
    return {"cameras": SampleCameraRays, "lidar": SampleLidarRays}[request.param]


def swept(dataset, sweeps: int = 2) -> dict:
    """The factory key frame: the class of a point is its place in the sweep; those of earlier sweeps have none."""
    results = LoadLidarSweeps(num_sweeps=sweeps)(LoadCameras(decode=False)(dataset.get_data_info(0)))
    key = results["points"].tensor[:, 4].numpy() == 0
    results["pts_semantic_mask"] = np.where(key, np.arange(len(key)), -1)
    return results


def drawn(sampler: type, results: dict, **changes):
    color = dict(color=False) if sampler is SampleCameraRays else {}
    return sampler(RANGE, **({"radius": (0.0, 500.0), "semantic": True} | color | changes))(results)["rays"]


def test_a_ray_has_the_class_of_the_return_that_it_ends_at_under_any_augmentation(dataset, sampler):
    np.random.seed(0)
    results = UnifiedRotScaleTransFlip((-3.0, 3.0), (0.8, 1.2), (1.0, 1.0, 0.5), 0.5, 0.5)(swept(dataset))
    rays = drawn(sampler, results)
    assert rays.semantic.dtype == torch.int64
    assert rays.semantic.shape == rays.depth.shape
    labeled = rays.semantic >= 0
    assert labeled.sum() > 20
    assert not labeled[~rays.has_depth].any()
    ends = (rays.origins + rays.depth[..., None] * rays.directions)[labeled]
    points = results["points"].tensor[rays.semantic[labeled], :3]
    assert (ends - points).norm(dim=1).max() < 1e-2


def test_rays_to_returns_of_earlier_sweeps_have_no_class(dataset, sampler):
    results = swept(dataset)
    points = results["points"].tensor
    points[points[:, 4] > 0, 2] += 0.3  # the same world, otherwise
    rays = drawn(sampler, results)
    ends = (rays.origins + rays.depth[..., None] * rays.directions)[rays.has_depth].double()
    nearest = torch.cdist(ends, points[:, :3].double()).argmin(dim=1)
    earlier = points[nearest, 4] > 0
    assert 0 < earlier.sum() < len(earlier)
    assert torch.equal(rays.semantic[rays.has_depth] < 0, earlier)


def test_a_ray_has_the_intensity_of_the_return_that_it_ends_at(dataset, sampler):
    results = swept(dataset)
    rays = drawn(sampler, results, semantic=False, intensity=True)
    ends = (rays.origins + rays.depth[..., None] * rays.directions)[rays.has_depth].double()
    points = results["points"].tensor
    nearest = torch.cdist(ends, points[:, :3].double()).argmin(dim=1)
    expected = (points[nearest, 3] / 255).sqrt()
    assert expected.std() > 0.01
    assert torch.equal(rays.intensity[rays.has_depth], expected)
    assert not rays.intensity[~rays.has_depth].any()


def test_classes_leave_the_choice_of_rays_as_it_is(dataset, sampler):
    with_classes, without = (drawn(sampler, swept(dataset), seed=3, semantic=semantic) for semantic in (True, False))
    assert without.semantic is None
    for name in ("origins", "directions", "valid", "depth", "pixels"):
        assert torch.equal(getattr(with_classes, name), getattr(without, name)), name


def test_labels_that_are_missing_or_do_not_fit_are_one_clear_error(dataset, sampler):
    results = swept(dataset)
    results["pts_semantic_mask"] = results["pts_semantic_mask"][1:]
    with pytest.raises(UserError, match=r"\d+ labels of \d+ points"):
        drawn(sampler, results)
    del results["pts_semantic_mask"]
    with pytest.raises(UserError, match="put LoadPointLabels right after LoadLidarSweeps"):
        drawn(sampler, results)


def frames(root: Path, **options) -> PonderNuScenesSegDataset:
    rays = SampleLidarRays(RANGE, num_rays=64, radius=(0.0, 500.0), semantic=True)
    pipeline = [LoadLidarSweeps(), LoadPointLabels(), rays, PackSensorInputs()]
    return PonderNuScenesSegDataset(data_root=str(root), ann_file=INFO_NAME, pipeline=pipeline, **options)


@pytest.mark.parametrize("choice", [dict(fraction=0.5), dict(fraction=0.5, fraction_by="scenes", fraction_seed=1)])
def test_with_a_fraction_all_frames_are_rendered_and_those_of_finetuning_have_classes(labeled_root, choice):
    finetuning = frames(labeled_root, **choice)
    pretraining = frames(labeled_root, keep_unlabeled=True, **choice)
    assert (len(finetuning), len(pretraining)) == (2, 4)
    labeled = set()
    for k in range(4):
        sample = pretraining[k]
        rays = sample["inputs"]["rays"]
        assert rays.has_depth.any()
        if (rays.semantic >= 0).any():
            labeled.add(sample["data_samples"].token)
    assert labeled == {finetuning[k]["data_samples"].token for k in range(2)}


def test_a_frame_without_labels_needs_no_file_of_them(own_labeled_root):
    pretraining = frames(own_labeled_root, fraction=0.25, keep_unlabeled=True)
    for k in range(4):
        info = pretraining.get_data_info(k)
        if not info["labeled"]:
            Path(info["pts_semantic_mask_path"]).unlink()
            assert pretraining.get_cat_ids(k) == set()
    assert sum(bool((pretraining[k]["inputs"]["rays"].semantic >= 0).any()) for k in range(4)) == 1


def test_a_part_of_the_frames_keeps_its_labels(labeled_root):
    pretraining = frames(labeled_root, fraction=0.5, keep_unlabeled=True)
    expected = [pretraining.get_data_info(k)["labeled"] for k in (1, 2)]
    part = pretraining.get_subset([1, 2])
    assert [part.get_data_info(k)["labeled"] for k in range(2)] == expected


def test_what_does_not_go_with_frames_without_labels_is_refused(labeled_root):
    with pytest.raises(UserError, match="keep_unlabeled: frames without labels are for training"):
        frames(labeled_root, keep_unlabeled=True, test_mode=True)
    for changes in (dict(fraction_by="points"), dict(load_interval=2)):
        with pytest.raises(UserError, match="keep_unlabeled: expected a fraction by frames or scenes of all frames"):
            frames(labeled_root, keep_unlabeled=True, fraction=0.5, **changes)


def test_pasted_objects_bring_no_labels_to_frames_without():
    sampling = GroundTruthSampling.__new__(GroundTruthSampling)
    sampling.images = False
    sample = dict.fromkeys(("points", "gt_bboxes_3d", "gt_labels_3d", "pts_semantic_mask")) | {"labeled": False}
    with pytest.raises(UserError, match="keep_unlabeled take labels away that GroundTruthSampling would add"):
        sampling._check(sample)
