"""Key points: places on surfaces that other views find again, from the volume and from pictures, and their losses."""

from .image_keypoint_head import ImageKeypointHead, ScoreMaps, score_peaks, score_targets
from .keypoint_branch import MAX_KEYPOINTS, KeypointBranch, KeypointView
from .keypoint_finding import (
    RULES,
    SOURCES,
    fused_keypoints,
    image_keypoints,
    random_keypoints,
    return_distances,
    rule_keypoints,
    volume_keypoints,
)
from .keypoint_losses import contrast, probabilistic_chamfer, score_map_loss, view_spread
from .surface_points import candidate_centers, pairs_within, thin_points
from .volume_keypoint_head import Candidates, VolumeKeypointHead

__all__ = [
    "MAX_KEYPOINTS",
    "RULES",
    "SOURCES",
    "Candidates",
    "ImageKeypointHead",
    "KeypointBranch",
    "KeypointView",
    "ScoreMaps",
    "VolumeKeypointHead",
    "candidate_centers",
    "contrast",
    "fused_keypoints",
    "image_keypoints",
    "pairs_within",
    "probabilistic_chamfer",
    "random_keypoints",
    "return_distances",
    "rule_keypoints",
    "score_map_loss",
    "score_peaks",
    "score_targets",
    "thin_points",
    "view_spread",
    "volume_keypoints",
]
