"""Test-time augmentation of segmentation: predict in several augmented frames and average the probabilities."""

from collections.abc import Sequence

import torch
from mmdet3d.structures import Det3DDataSample, PointData
from mmengine.model import BaseTTAModel

from ponderv2.errors import UserError
from ponderv2.registry import MODELS

from .detection_tta import AUGMENTATION_KEYS


@MODELS.register_module()
class SegmentationTTAModel(BaseTTAModel):
    """Runs a segmentor on every augmentation of a sweep and averages the probabilities of each point's classes.

    Predictions are of the points of the key frame's file (`inverse_map`), so that passes may sample the grid
    differently. The published passes are the ten products of scales 0.9, 0.95, 1, 1.05 and 1.1 with and without a flip
    of both x and y (Pointcept's SpUNet); `configs/_base_/tta_segmentation.py` has them. mmdet3d's `Seg3DTTAModel`
    averages in the order of the augmented points instead.

    Args:
        module: the segmentor, or its config.
    """

    @torch.no_grad()
    def merge_preds(self, data_samples_list: list[tuple[Det3DDataSample, ...]]) -> list[Det3DDataSample]:
        """Merge the passes of each sample into one; its `pts_seg_logits` are the logarithms of the probabilities.

        Raises:
            UserError: passes of a sample predict different numbers of points.
        """
        return [_merge(passes) for passes in data_samples_list]


def _merge(passes: Sequence[Det3DDataSample]) -> Det3DDataSample:
    counts = {len(sample.pred_pts_seg.pts_semantic_mask) for sample in passes}
    if len(counts) > 1:
        raise UserError(
            f"SegmentationTTAModel: passes of sample {passes[0].get('token')} predict {sorted(counts)} points; the "
            "pipeline must begin the inverse map before it leaves points out (LoadPointLabels with evaluation=True)"
        )
    total = torch.zeros_like(passes[0].pred_pts_seg.pts_seg_logits)
    for sample in passes:
        total += sample.pred_pts_seg.pts_seg_logits.softmax(dim=1)
    mean = total / len(passes)
    merged = passes[0].new(metainfo={k: v for k, v in passes[0].metainfo.items() if k not in AUGMENTATION_KEYS})
    merged.pred_pts_seg = PointData(pts_semantic_mask=mean.argmax(dim=1), pts_seg_logits=mean.log())
    return merged
