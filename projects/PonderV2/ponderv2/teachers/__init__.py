"""The 2-D side of pre-training with features: image teachers, their reduction and cache, and the branches around them.

A branch makes maps of features of the cameras' pictures, with which rendered features are compared.
"""

from .collapse_measures import direction_moments, effective_rank, spread_of
from .feature_cache import FeatureCache
from .feature_reduction import FeatureReduction
from .image_branches import BranchMaps, ConsensusImageBranch, FrozenImageBranch
from .image_teacher import ImageTeacher
from .random_teacher import RandomTeacher
from .street_teacher import StreetNet, StreetTeacher, read_street_net, write_street_net
from .view_consistency import agreement, other_views, ray_ends, unmatched_agreement
from .vision_transformer import VisionTransformerTeacher

__all__ = [
    "BranchMaps",
    "ConsensusImageBranch",
    "FeatureCache",
    "FeatureReduction",
    "FrozenImageBranch",
    "ImageTeacher",
    "RandomTeacher",
    "StreetNet",
    "StreetTeacher",
    "VisionTransformerTeacher",
    "agreement",
    "direction_moments",
    "effective_rank",
    "other_views",
    "ray_ends",
    "read_street_net",
    "spread_of",
    "unmatched_agreement",
    "write_street_net",
]
