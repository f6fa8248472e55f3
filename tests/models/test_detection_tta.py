"""Test-time augmentation of detection, with a detector that knows the ground truth."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv import transforms
from mmcv.ops import box_iou_rotated
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PonderNuScenesDetDataset, UnifiedRotScaleTransFlip
from ponderv2.engine import load_config
from ponderv2.engine.test_time_augmentation import with_tta
from ponderv2.models import SensorPreprocessor
from ponderv2.models.detection_tta import DetectionTTAModel, undo_augmentation
from ponderv2.registry import METRICS, MODELS, TRANSFORMS
from tests.factories.keyframe import INFO_NAME

# Far apart, in all directions, with headings in every quadrant.
BOXES = torch.tensor(
    [
        [10.0, 5.0, -1.0, 4.5, 1.9, 1.6, 0.3, 5.0, 1.0],
        [-20.0, 8.0, -1.5, 12.0, 2.8, 3.5, 2.8, -8.0, 3.0],
        [3.0, -30.0, -0.8, 0.7, 0.6, 1.8, -1.2, 0.5, -1.0],
        [-9.0, -12.0, -1.1, 2.0, 0.8, 1.5, -2.9, 0.0, 0.0],
        [30.0, 30.0, -1.0, 0.5, 2.5, 1.0, math.pi / 2, 0.0, 0.0],
    ]
)
LABELS = torch.tensor([0, 3, 7, 6, 9])
SCORES = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])


def _boxes(values: torch.Tensor = BOXES) -> LiDARInstance3DBoxes:
    return LiDARInstance3DBoxes(values.clone(), box_dim=values.shape[1])


@TRANSFORMS.register_module(name="SetKnownBoxes")
class _SetBoxes:
    """The transform that loads boxes, with known ones."""

    def __call__(self, results: dict) -> dict:
        return results | {"gt_bboxes_3d": _boxes(), "gt_labels_3d": LABELS.numpy().copy()}


@MODELS.register_module(name="KnowsTheTruth")
class _KnowsTheTruth(BaseModel):
    """A detector that finds the ground truth of the (augmented) sample it is given, a little late in some passes."""

    def __init__(self) -> None:
        super().__init__(dict(type=SensorPreprocessor))
        self.seen = []

    def forward(self, inputs, data_samples: list, mode: str) -> list:
        assert mode == "predict"
        for b, sample in enumerate(data_samples):
            self.seen.append((sample.lidar_aug, inputs.points[b], inputs.rig.lidar2img[b]))
            truth = sample.gt_instances_3d
            sample.pred_instances_3d = InstanceData(
                bboxes_3d=truth.bboxes_3d, scores_3d=SCORES - 0.01 * len(self.seen), labels_3d=truth.labels_3d
            )
        return data_samples


@pytest.fixture
def tta_config(repository):
    return load_config(repository / "configs" / "_base_" / "tta_detection.py")


@pytest.fixture
def batch(frame_root, tta_config) -> dict:
    """A collated batch of two samples through the published pipeline."""
    pipeline = [dict(type=LoadCameras), dict(type=LoadLidarSweeps), _SetBoxes(), *tta_config.tta_passes]
    dataset = PonderNuScenesDetDataset(data_root=str(frame_root), ann_file=INFO_NAME, pipeline=pipeline)
    return pseudo_collate([dataset[0], dataset[0]])


def _assert_same_boxes(found: LiDARInstance3DBoxes, expected: LiDARInstance3DBoxes, atol: float = 1e-4) -> None:
    torch.testing.assert_close(found.tensor[:, :6], expected.tensor[:, :6], atol=atol, rtol=0)
    turn = found.tensor[:, 6] - expected.tensor[:, 6]
    assert torch.remainder(turn + math.pi, 2 * math.pi).sub(math.pi).abs().max() < atol
    torch.testing.assert_close(found.tensor[:, 7:], expected.tensor[:, 7:], atol=atol, rtol=0)


def test_the_ground_truth_of_12_passes_merges_to_the_ground_truth(batch):
    detector = _KnowsTheTruth()
    merged = DetectionTTAModel(detector).test_step(batch)
    assert len(detector.seen) == 2 * 12
    assert len(merged) == 2
    for sample in merged:
        found = sample.pred_instances_3d
        assert found.labels_3d.tolist() == LABELS.tolist()
        _assert_same_boxes(found.bboxes_3d, _boxes())


def test_the_passes_are_three_scales_times_four_flips(batch):
    detector = _KnowsTheTruth()
    DetectionTTAModel(detector).test_step(batch)
    diagonals = {tuple(np.round(np.diag(matrix), 6)) for matrix, _, _ in detector.seen}
    expected = {(x * s, y * s, s, 1.0) for s in (1.0, 1.06, 0.96) for x in (1.0, -1.0) for y in (1.0, -1.0)}
    assert diagonals == expected


def test_points_and_cameras_follow_every_pass(batch):
    detector = _KnowsTheTruth()
    DetectionTTAModel(detector).test_step(batch)
    matrix, plain, rig = detector.seen[0]
    np.testing.assert_array_equal(matrix, np.eye(4))
    for matrix, points, lidar2img in detector.seen[::2]:
        forward = torch.from_numpy(matrix).float()
        torch.testing.assert_close(points[:, :3], plain[:, :3] @ forward[:3, :3].T, atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(lidar2img @ forward, rig, atol=1e-3, rtol=1e-4)


def test_a_merged_sample_is_in_the_frame_that_was_not_augmented(batch):
    sample = DetectionTTAModel(_KnowsTheTruth()).test_step(batch)[0]
    assert sample.token == "factory"
    assert "lidar_aug" not in sample
    assert "pcd_flip" not in sample


def test_of_a_class_the_best_of_what_overlaps_is_kept_and_at_most_so_many():
    near = BOXES.clone()
    near[:, :2] += 0.1
    passes = [_pass(BOXES, SCORES), _pass(near, SCORES + 0.05)]
    merged = DetectionTTAModel(_KnowsTheTruth()).merge_preds([tuple(passes)])[0].pred_instances_3d
    _assert_same_boxes(merged.bboxes_3d, _boxes(near))
    torch.testing.assert_close(merged.scores_3d, SCORES + 0.05)
    two = DetectionTTAModel(_KnowsTheTruth(), max_boxes=2).merge_preds([tuple(passes)])[0].pred_instances_3d
    torch.testing.assert_close(two.scores_3d, SCORES[:2] + 0.05)
    assert (box_iou_rotated(_boxes().bev, _boxes(near).bev).diagonal() > 0.1).all()
    other = [passes[0], _pass(near, SCORES + 0.05, (LABELS + 1) % 10)]
    both = DetectionTTAModel(_KnowsTheTruth()).merge_preds([tuple(other)])[0].pred_instances_3d
    assert len(both) == 2 * len(BOXES)


def _pass(boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor = LABELS) -> Det3DDataSample:
    sample = Det3DDataSample(metainfo={"token": "t", "lidar_aug": np.eye(4)})
    sample.pred_instances_3d = InstanceData(bboxes_3d=_boxes(boxes), scores_3d=scores, labels_3d=labels)
    return sample


def test_nothing_found_in_any_pass_merges_to_nothing():
    empty = _pass(BOXES[:0], SCORES[:0], LABELS[:0])
    merged = DetectionTTAModel(_KnowsTheTruth()).merge_preds([(empty, empty)])[0].pred_instances_3d
    assert len(merged) == 0
    assert merged.bboxes_3d.box_dim == 9


@given(
    angle=st.floats(-math.pi, math.pi),
    factor=st.floats(0.5, 2.0),
    offset=st.tuples(*[st.floats(-5, 5)] * 3),
    flips=st.tuples(st.booleans(), st.booleans()),
)
@settings(max_examples=40, deadline=None)
def test_boxes_come_back_from_any_augmentation(angle, factor, offset, flips):
    results = {
        "gt_bboxes_3d": _boxes(),
        "lidar_aug": np.eye(4),
        "pcd_rotation_angle": angle,
        "pcd_scale_factor": factor,
        "pcd_trans": offset,
        "pcd_flip": flips,
    }
    results = UnifiedRotScaleTransFlip()(results)
    _assert_same_boxes(undo_augmentation(results["gt_bboxes_3d"], torch.from_numpy(results["lidar_aug"])), _boxes())


def test_boxes_without_velocity_come_back_as_well_and_unknown_velocities_stay_unknown():
    matrix = torch.diag(torch.tensor([-2.0, 2.0, 2.0, 1.0]))
    back = undo_augmentation(_boxes(BOXES[:, :7]), matrix)
    torch.testing.assert_close(back.tensor[0, :6], torch.tensor([-5.0, 2.5, -0.5, 2.25, 0.95, 0.8]))
    unknown = BOXES.clone()
    unknown[0, 7:] = math.nan
    assert undo_augmentation(_boxes(unknown), matrix).tensor[:, 7:].isnan().any(dim=1).tolist() == [True] + [False] * 4


@pytest.mark.parametrize(
    "matrix", [np.diag([1.0, 2.0, 1.0, 1.0]), np.diag([1.0, 1.0, -1.0, 1.0]), np.eye(4)[[1, 2, 0, 3]]]
)
def test_a_matrix_that_tears_boxes_apart_is_refused(matrix):
    with pytest.raises(ValueError, match="no product of rotations about z"):
        undo_augmentation(_boxes(), torch.from_numpy(matrix))


def test_a_sample_that_does_not_say_how_it_was_augmented_is_refused():
    sample = Det3DDataSample(metainfo={"token": "t"})
    sample.pred_instances_3d = _pass(BOXES, SCORES).pred_instances_3d
    with pytest.raises(ValueError, match=r"sample t has no lidar_aug; .* PackSensorInputs"):
        DetectionTTAModel(_KnowsTheTruth()).merge_preds([(sample,)])


def test_a_recipe_gets_the_pipeline_and_the_wrapped_model(tta_config):
    tta_config.test_dataloader = dict(dataset=dict(pipeline=["plain"]))
    tta_config.tta_pipeline = [dict(type=LoadCameras), *tta_config.tta_passes]
    tta_config.custom_hooks = [dict(type="another")]
    changed = with_tta(tta_config)
    assert changed.test_dataloader.dataset.pipeline[-1].type is transforms.TestTimeAug
    assert [hook.type for hook in changed.custom_hooks] == ["another", "mmengine.PrepareTTAHook"]
    assert tta_config.test_dataloader.dataset.pipeline == ["plain"]


@METRICS.register_module(name="CollectTokens")
class _CollectTokens(BaseMetric):
    """Keeps what the evaluator is given."""

    default_prefix = "collected"

    def process(self, data_batch, data_samples) -> None:
        self.results.extend((s["token"], len(s["pred_instances_3d"]["scores_3d"])) for s in data_samples)

    def compute_metrics(self, results: list) -> dict:
        return {"samples": results}


def test_mmengines_test_loop_runs_the_passes_and_scores_their_merger(tta_config, frame_root, tmp_path):
    loading = [dict(type=f"mmdet3d.{name}") for name in ("LoadCameras", "LoadLidarSweeps", "SetKnownBoxes")]
    dataset = dict(type="mmdet3d.PonderNuScenesDetDataset", data_root=str(frame_root), ann_file=INFO_NAME, pipeline=[])
    loader = dict(batch_size=1, num_workers=0, sampler=dict(type="mmengine.DefaultSampler", shuffle=False))
    config = Config(
        dict(
            model=dict(type="mmdet3d.KnowsTheTruth"),
            work_dir=str(tmp_path),
            default_scope="mmdet3d",
            test_dataloader=loader | dict(dataset=dataset, collate_fn=dict(type="pseudo_collate")),
            test_cfg=dict(type="mmengine.TestLoop"),
            test_evaluator=dict(type="mmdet3d.CollectTokens"),
            tta_model=tta_config.tta_model,
            tta_pipeline=[*loading, *tta_config.tta_passes],
            experiment_name="tta",
        )
    )
    metrics = Runner.from_cfg(with_tta(config)).test()
    assert metrics == {"collected/samples": [("factory", len(BOXES))]}


def test_a_recipe_without_tta_is_refused(tta_config):
    with pytest.raises(ValueError, match=r"tta_detection\.py has no tta_pipeline"):
        with_tta(tta_config)
