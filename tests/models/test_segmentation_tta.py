"""Test-time augmentation of segmentation: probabilities are averaged at the points of the file."""

import pytest
import torch
from mmdet3d.structures import Det3DDataSample, PointData
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel

from ponderv2.datasets import LoadLidarSweeps, LoadPointLabels, PonderNuScenesSegDataset
from ponderv2.engine import load_config, with_tta
from ponderv2.geometry import project
from ponderv2.models import LidarSegmentor, SegmentationTTAModel, SensorPreprocessor
from ponderv2.registry import DATASETS, MODELS
from tests.factories.lidarseg import write_labeled_frames
from tests.factories.segmentation_models import segmentor


class _KnowsTheTruth(BaseModel):
    """A segmentor that is given the labels of the points that it gets, and is sure of them."""

    def __init__(self) -> None:
        super().__init__(dict(type=SensorPreprocessor))
        self.seen = []

    def forward(self, inputs, data_samples: list, mode: str) -> list:
        assert mode == "predict"
        for sample in data_samples:
            self.seen.append((sample.pcd_scale_factor, *map(bool, sample.pcd_flip)))
            labels = sample.gt_pts_seg.pts_semantic_mask.clamp(min=0)
            logits = 20.0 * torch.nn.functional.one_hot(labels, 16).float()[sample.inverse_map]
            sample.pred_pts_seg = PointData(pts_semantic_mask=logits.argmax(dim=1), pts_seg_logits=logits)
        return data_samples


def _passes(repository, root):
    loading = [dict(type=LoadLidarSweeps), dict(type=LoadPointLabels, evaluation=True)]
    passes = load_config(repository / "configs/_base_/tta_segmentation.py").tta_passes
    dataset = PonderNuScenesSegDataset(
        str(root), "nuscenes_infos_train.pkl", pipeline=[*loading, *passes], test_mode=True
    )
    return pseudo_collate([dataset[0]])


def test_ten_passes_that_know_the_truth_give_it_at_every_point_of_the_file(repository, tmp_path):
    write_labeled_frames(tmp_path)
    model = _KnowsTheTruth()
    (merged,) = SegmentationTTAModel(model).test_step(_passes(repository, tmp_path))
    assert len(set(model.seen)) == len(model.seen) == 10
    truth = merged.eval_ann_info["pts_semantic_mask"]
    found = merged.pred_pts_seg.pts_semantic_mask
    assert len(found) == len(truth) == 300
    # Points of a car that share a cell of 0.05 m have one label.
    assert torch.equal(found[truth >= 0], truth[truth >= 0])
    assert "pcd_scale_factor" not in merged
    torch.testing.assert_close(merged.pred_pts_seg.pts_seg_logits.exp().sum(dim=1), torch.ones(300))


def test_a_segmentor_is_averaged_over_its_passes(repository, tmp_path):
    write_labeled_frames(tmp_path)
    model = segmentor(head=dict(num_classes=16)).eval()
    batch = _passes(repository, tmp_path)
    singly = [model.test_step(pseudo_collate([one]))[0] for one in _split(batch)]
    (merged,) = SegmentationTTAModel(model).test_step(batch)
    mean = torch.stack([s.pred_pts_seg.pts_seg_logits.softmax(dim=1) for s in singly]).mean(dim=0)
    torch.testing.assert_close(merged.pred_pts_seg.pts_seg_logits.exp(), mean)
    assert torch.equal(merged.pred_pts_seg.pts_semantic_mask, mean.argmax(dim=1))
    assert isinstance(model, LidarSegmentor)


def test_with_cameras_a_point_is_seen_in_the_same_pixel_in_every_pass(repository, streets):
    config = with_tta(load_config(repository / "configs/tiny/lidarseg_fusion_synthetic.py", streets))
    dataset = config.test_dataloader.dataset
    augmentations, *rest = dataset.pipeline[-1].transforms
    # As it is, and the largest with both flips.
    dataset.pipeline[-1].transforms = [[augmentations[4], augmentations[-1]], *rest]
    batch = pseudo_collate([DATASETS.build(dataset)[0]])
    pixels = []
    for one in _split(batch):
        points, rig = one["inputs"]["points"][:, :3].double(), one["inputs"]["rig"]
        seen, depth = project(points.expand(6, -1, -1), rig.lidar2img)
        seen[depth < 1] = float("nan")
        pixels.append(seen[:, one["data_samples"].inverse_map])
    # Cells of the grid keep other points of their own, a few centimeters away.
    distance = (pixels[0] - pixels[1]).norm(dim=-1)
    assert distance.nanmedian() < 0.5
    model = MODELS.build(config.model).eval()
    (merged,) = SegmentationTTAModel(model).test_step(batch)
    assert len(merged.pred_pts_seg.pts_semantic_mask) == len(merged.eval_ann_info["pts_semantic_mask"])
    assert torch.isfinite(merged.pred_pts_seg.pts_seg_logits).all()


def _split(batch: dict) -> list[dict]:
    """The passes of a batch of one sample, each as a sample of its own."""
    return [
        {"inputs": {name: values[0] for name, values in inputs.items()}, "data_samples": samples[0].clone()}
        for inputs, samples in zip(batch["inputs"], batch["data_samples"], strict=True)
    ]


def test_passes_of_different_numbers_of_points_are_an_error():
    passes = []
    for count in (3, 4):
        sample = Det3DDataSample(metainfo={"token": "one"})
        sample.pred_pts_seg = PointData(
            pts_semantic_mask=torch.zeros(count, dtype=torch.long), pts_seg_logits=torch.zeros(count, 16)
        )
        passes.append(sample)
    with pytest.raises(ValueError, match=r"passes of sample one predict \[3, 4\] points"):
        SegmentationTTAModel(_KnowsTheTruth()).merge_preds([tuple(passes)])
