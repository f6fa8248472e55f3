"""The 2-D side of pre-training with features: image teachers, their reduction and cache, and the branches that use them.

A branch makes maps of features of the cameras' pictures, with which rendered features are compared.
"""

from .collapse_measures import effective_rank, feature_covariance, spread_of
from .feature_cache import FeatureCache
from .feature_reduction import FeatureReduction
from .image_branches import BranchMaps, ConsensusImageBranch, FrozenImageBranch
from .image_teacher import ImageTeacher
from .street_teacher import StreetNet, StreetTeacher, read_street_net, write_street_net
from .view_consistency import agreement, other_views, ray_ends
from .vision_transformer import VisionTransformerTeacher

__all__ = [
    "BranchMaps",
    "ConsensusImageBranch",
    "FeatureCache",
    "FeatureReduction",
    "FrozenImageBranch",
    "ImageTeacher",
    "StreetNet",
    "StreetTeacher",
    "VisionTransformerTeacher",
    "agreement",
    "effective_rank",
    "feature_covariance",
    "other_views",
    "ray_ends",
    "read_street_net",
    "spread_of",
    "write_street_net",
]
