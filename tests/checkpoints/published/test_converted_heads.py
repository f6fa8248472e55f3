"""The converted detection head predicts the boxes of the published one, in the convention of mmdet3d 1.x."""

import math

import pytest
import torch
from mmdet3d.datasets import NuScenesDataset

from ponderv2.checkpoints.published import CLASSES, PUBLISHED_CLASSES
from ponderv2.heads import UVTRHead
from ponderv2.heads.uvtr.box_code import decode_boxes
from ponderv2.structures import FeatureVolume, VoxelGrid
from tests.factories import published_detection_head as published
from tests.factories import published_layout as layout
from tests.factories.published_conversion import converted

GRID = VoxelGrid((-16, -12, -3, 16, 12, 3), (8, 6, 3))
FORMS = {
    "plain": {},
    "denoising": dict(query_init="reference", denoising=dict(), iou_weight=0.5, decoding=dict(use_iou=True)),
}


@pytest.fixture(params=FORMS)
def heads(request):
    """A published head as weights, the converted one, and a batch of volumes."""
    weights = layout.random_weights(layout.detection_head(16, 20, 3, 24, denoising=request.param == "denoising"))
    arguments = dict(in_channels=16, num_classes=10, num_queries=20, num_layers=3, num_heads=4, ffn_channels=24)
    head = UVTRHead(**arguments, **FORMS[request.param]).eval()
    head.load_state_dict(converted(weights, "head"))
    return weights, head, torch.randn(2, 16, *GRID.shape)


def test_classes_are_those_of_the_data_set_here():
    assert tuple(NuScenesDataset.METAINFO["classes"]) == CLASSES
    assert sorted(CLASSES) == sorted(PUBLISHED_CLASSES)


@torch.no_grad()
def test_every_layer_of_the_decoder(heads):
    weights, head, volume = heads
    actual = head(FeatureVolume(volume, GRID))
    logits, codes, overlaps = published.decoder(weights, volume, GRID.point_cloud_range, heads=4)
    order = [PUBLISHED_CLASSES.index(name) for name in CLASSES]
    torch.testing.assert_close(actual.logits, logits[..., order], rtol=1e-4, atol=1e-4)
    x, y, log_w, log_l, z, log_h, sine, cosine, vx, vy = codes.unbind(dim=-1)
    expected = torch.stack([x, y, log_l, log_w, z, log_h, -cosine, -sine, vx, vy], dim=-1)
    torch.testing.assert_close(actual.codes, expected, rtol=1e-4, atol=1e-4)
    assert (actual.ious is None) == (overlaps is None)
    if overlaps is not None:
        torch.testing.assert_close(actual.ious, overlaps, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_decoded_boxes_have_the_same_corners_classes_scores_and_velocities(heads):
    weights, head, volume = heads
    found = head.predict(FeatureVolume(volume, GRID))
    logits, codes, overlaps = published.decoder(weights, volume, GRID.point_cloud_range, heads=4)
    for sample, actual in enumerate(found):
        of_sample = None if overlaps is None else overlaps[-1, sample]
        boxes, scores, labels = published.decode(logits[-1, sample], codes[-1, sample], of_sample)
        assert len(boxes) == len(actual.bboxes_3d) > 100
        order = scores.argsort(descending=True, stable=True)
        boxes, scores, labels = boxes[order], scores[order], labels[order]
        torch.testing.assert_close(actual.scores_3d, scores, rtol=1e-4, atol=1e-4)
        names = [CLASSES[k] for k in actual.labels_3d]
        assert names == [PUBLISHED_CLASSES[k] for k in labels]
        torch.testing.assert_close(actual.bboxes_3d.tensor[:, 7:], boxes[:, 7:], rtol=1e-4, atol=1e-4)
        expected = sorted_corners(published.corners(boxes))
        torch.testing.assert_close(sorted_corners(actual.bboxes_3d.corners), expected, rtol=1e-4, atol=1e-3)


def test_the_front_of_a_box_stays_its_front():
    """The yaw of mmdet3d before 1.0 was 0 for a car that faces −y, and grew clockwise: 90° faced −x."""
    for old, direction in ((0.0, (0.0, -1.0)), (math.pi / 2, (-1.0, 0.0)), (math.pi, (0.0, 1.0))):
        code = torch.tensor([0.0, 0, math.log(2), math.log(4), 0, 0, math.sin(old), math.cos(old), 0, 0])
        row = {"pts_bbox_head.reg_branches.0.4.bias": code}
        box = decode_boxes(converted(row, "head.decoder")["reg_branches.0.4.bias"])
        yaw = float(box[6])
        torch.testing.assert_close(torch.tensor([math.cos(yaw), math.sin(yaw)]), torch.tensor(direction))
        torch.testing.assert_close(box[3:5], torch.tensor([4.0, 2.0]))
        torch.testing.assert_close(published.modern(published_box(code))[6].sin(), box[6].sin())


def test_references_outside_the_range_are_those_of_the_published_clamp():
    fractions = torch.tensor([[-0.2, 0.0, 0.25], [1.0, 1.3, 0.5]])
    (logits,) = converted({"pts_bbox_head.reference_points.weight": fractions}, "head.queries").values()
    least, most = math.log(1e-5), -math.log(1e-5)
    expected = torch.tensor([[least, least, math.log(1 / 3)], [most, most, 0.0]])
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-6)


def published_box(code: torch.Tensor) -> torch.Tensor:
    x, y, log_w, log_l, z, log_h, sine, cosine, vx, vy = code
    return torch.stack([x, y, z, log_w.exp(), log_l.exp(), log_h.exp(), torch.atan2(sine, cosine), vx, vy])


def sorted_corners(corners: torch.Tensor) -> torch.Tensor:
    """The corners of each box in one order, whichever the convention lists them in: by height, then around."""
    center = corners.mean(dim=1, keepdim=True)
    around = torch.atan2(*(corners - center)[..., :2].unbind(dim=-1))
    key = around + 100 * (corners - center)[..., 2].sign()
    return corners.gather(1, key.argsort(dim=1)[..., None].expand_as(corners))
