"""Labelled frames as they are evaluated: no augmentation, no pasting, the same each time."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import Subset

from ponderv2.datasets import DETECTION_CLASSES, GroundTruthSampling, LoadLidarSweeps
from ponderv2.engine import load_config
from ponderv2.registry import DATASETS
from studies.evaluation_frames import SeededFrames, evaluation_datasets, frames_of
from studies.linear_probe import build_detector, collect
from studies.runs import StudyError
from tests.factories.gt_database import gt_object, write_gt_database

RECIPE = "configs/tiny/uvtr_lidar_synthetic.py"


def _config(repository, streets, options=None):
    small = {"model.encoder.grid.size": (36, 36, 4), "model.encoder.voxel_size": (0.375, 0.375, 0.25)}
    return load_config(repository / RECIPE, streets, small | (options or {}))


def test_both_sets_have_boxes_and_each_keeps_its_own_frames(repository, streets):
    config = _config(repository, streets, {f"train_dataloader.dataset.{k}": 2 for k in ("fraction_seed",)})
    config.train_dataloader.dataset.update(fraction=0.5, min_lidar_points=5)
    train, val = evaluation_datasets(config)
    assert (train.fraction, train.fraction_seed, train.ann_file) == (0.5, 2, "nuscenes_infos_train.pkl")
    assert ("fraction" in val, val.ann_file) == (False, "nuscenes_infos_val.pkl")
    assert [step["type"].__name__ for step in val.pipeline] == [
        "LoadLidarSweeps",
        "LoadAnnotations3D",
        "PackSensorInputs",
    ]
    assert val.pipeline == train.pipeline
    built = DATASETS.build(train)
    assert len(built) == 1
    for dataset in (built, DATASETS.build(val)):
        truth = dataset[0]["data_samples"].gt_instances_3d
        expected = dataset.get_data_info(0)["ann_info"]["gt_bboxes_3d"].tensor
        assert torch.equal(truth.bboxes_3d.tensor.nan_to_num(), expected.nan_to_num())
        assert len(truth.labels_3d) > 5


def test_nothing_is_turned_and_no_object_is_pasted(repository, streets, tmp_path):
    config = _config(repository, streets)
    write_gt_database(tmp_path / "database", [gt_object("bus", (x, 9.0, 0, 9, 2, 3, 0)) for x in (-30, 0, 30)])
    # The database's points have an intensity that no real one has, see the factory.
    paste = dict(type=GroundTruthSampling, data_root=str(tmp_path), database="database", groups={"bus": 40})
    pipeline = config.train_dataloader.dataset.pipeline
    config.train_dataloader.dataset.pipeline = [*pipeline[:2], paste, *pipeline[2:]]
    trained = DATASETS.build(config.train_dataloader.dataset)[0]
    assert (trained["inputs"]["points"][:, 3] == 777.0).any()
    for dataset in evaluation_datasets(config):
        built = DATASETS.build(dataset)
        for k in range(len(built)):
            frame = built[k]
            assert not (frame["inputs"]["points"][:, 3] == 777.0).any()
            assert np.array_equal(frame["data_samples"].lidar_aug, np.eye(4))
            buses = (frame["data_samples"].gt_instances_3d.labels_3d == DETECTION_CLASSES.index("bus")).sum()
            assert buses == (built.get_data_info(k)["ann_info"]["gt_labels_3d"] == DETECTION_CLASSES.index("bus")).sum()


def test_a_pipeline_that_packs_nothing_is_refused(repository, streets):
    config = _config(repository, streets)
    config.val_dataloader.dataset.pipeline = [dict(type=LoadLidarSweeps)]
    with pytest.raises(StudyError, match=r"pipeline is \['LoadLidarSweeps'\], expected PackSensorInputs at its end"):
        evaluation_datasets(config)


class Drawing(torch.utils.data.Dataset):
    """Frames that draw from every global generator, and depend on what was drawn before."""

    def __len__(self) -> int:
        return 4

    def get_data_info(self, index: int) -> dict:
        return {"token": f"frame {index}"}

    def __getitem__(self, index: int) -> dict:
        return {"draws": (random.random(), np.random.rand(), torch.rand(1).item())}


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_frame_draws_depends_on_its_token_alone(workers):
    frames = SeededFrames(Drawing(), seed=3)
    draws = [batch["draws"] for batch in frames_of(frames, 4, workers)]
    assert len({str(draw) for draw in draws}) == 4
    backwards = [batch["draws"] for batch in frames_of(Subset(frames, [3, 1]), 4, workers)]
    assert backwards == [draws[3], draws[1]]
    assert SeededFrames(Drawing(), seed=4)[0] != frames[0]


def test_loading_a_seeded_frame_leaves_the_generators_as_they_were():
    frames = SeededFrames(Drawing())
    for generator in (random.random, np.random.rand, lambda: torch.rand(1).item()):
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        expected = generator()
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        _ = frames[0]
        assert generator() == expected


def test_frames_in_another_order_give_the_same_cells(repository, streets):
    config = _config(repository, streets)
    model = build_detector(config, "scratch", 0, "cpu")
    frames = SeededFrames(DATASETS.build(evaluation_datasets(config)[1]))
    one, other = (collect(model, frames_of(Subset(frames, order), 9), 50) for order in ([0, 1], [1, 0]))
    assert np.array_equal(one.features, other.features)
    assert np.array_equal(one.classes, other.classes)
    alone = collect(model, frames_of(Subset(frames, [1]), 9), 50)
    assert {tuple(row) for row in alone.features} <= {tuple(row) for row in one.features}
