"""Pre-training with features of images: teachers, the branches of the two modes, and the channels that both sides have.

`street_teacher` is a stand-in for a foundation model, from tools/train_street_teacher.py: it has learned the classes of
streets from labeled synthetic pictures of other towns, so what it hands on is supervised knowledge.
"""

from ponderv2.datasets import DigestImages
from ponderv2.engine import CollapseAlarmHook, FitFeatureReductionHook
from ponderv2.teachers import ConsensusImageBranch, FrozenImageBranch, StreetTeacher, VisionTransformerTeacher

digest_images = dict(type=DigestImages)
fit_reduction = dict(type=FitFeatureReductionHook, num_frames=64)
# Of whitened features; constant ones have a spread of 0 and a rank of 1.
collapse_alarm = dict(type=CollapseAlarmHook, least=dict(spread_2d=0.1, rank_2d=2.0), patience=20)

# Full size: patches of 14 pixels at half the resolution, 34×58 of them a camera; 0.25 MB a camera in the cache, 43 GB
# for all training frames of nuScenes.
dinov2_small = dict(type=VisionTransformerTeacher, name="facebook/dinov2-small", stride=28)
distil = dict(
    type=FrozenImageBranch, teacher=dinov2_small, channels=64, cache=dict(folder="work_dirs/feature_cache", limit=60.0)
)
consensus = dict(distil, type=ConsensusImageBranch)

# Tiny
street_teacher = dict(type=StreetTeacher, path="work_dirs/street_teacher.safetensors")
tiny_distil = dict(
    type=FrozenImageBranch, teacher=street_teacher, channels=16, cache=dict(folder="work_dirs/feature_cache", limit=4.0)
)
tiny_consensus = dict(tiny_distil, type=ConsensusImageBranch, momentum=0.99)
# What is rendered has the channels of the branch.
tiny_feature = dict(channels=16)

# Key points: found again within 0.5 m, and at least twice that apart
tiny_keypoints = dict(descriptor_channels=32, suppression=1.0, max_points=128)
