"""The detectors and pre-trainings that UniPAD publishes, in their layout and at their size; and a small one."""

from tests.factories.published_layout import (
    Shapes,
    biased_convs,
    complex_depth,
    convnext,
    detection_head,
    lift_convs,
    neck,
    render_head,
    second,
    simple_depth,
    sparse_encoder,
)

SMALL = ((3, 3, 27, 3), (96, 192, 384, 768))
"""Depths and widths of ConvNeXt-small."""

_STAGES, _BRANCHES = (16, 32, 64, 128), (128, 256, 512)


def pulling_camera() -> Shapes:
    return convnext(*SMALL, normed=range(4)) | neck((192, 384, 768), 128, extra=1) | simple_depth(128, 64)


def splatting_camera() -> Shapes:
    return convnext(*SMALL, normed=(3,)) | neck((768,), 256) | complex_depth(256, 118, 96)


def lidar(extra: int) -> Shapes:
    return sparse_encoder(5, _STAGES, 256) | second(256, _BRANCHES, 5, 256, extra)


def camera_ablation() -> Shapes:
    return pulling_camera() | lift_convs(128) | detection_head(128, 900, 6, 512, denoising=False)


def camera_final() -> Shapes:
    return splatting_camera() | lift_convs(256) | detection_head(256, 900, 6, 512, denoising=True)


def lidar_final() -> Shapes:
    return lidar(3) | detection_head(256, 900, 6, 512, denoising=True)


def fusion_final() -> Shapes:
    fused = biased_convs("pts_bbox_head.conv_trans_head_1", 256)
    return splatting_camera() | lift_convs(256) | lidar(3) | fused | detection_head(256, 900, 6, 512, denoising=True)


def uvtr_lidar() -> Shapes:
    """UVTR's own LiDAR detector: plain queries, three layers."""
    return lidar(3) | detection_head(256, 900, 3, 512, denoising=False)


PUBLISHED = {
    "uvtr_camera_vs0.1_ablation": camera_ablation,
    "uvtr_camera_vs0.075": camera_final,
    "uvtr_lidar_vs0.075": lidar_final,
    "uvtr_fusion_vs0.075": fusion_final,
}

PRETRAINED = {
    "camera, pull": lambda: pulling_camera() | render_head(128),
    "camera, splat": lambda: splatting_camera() | render_head(256),
    "lidar": lambda: lidar(0) | render_head(256),
}


def small_lidar(queries: int = 25, denoising: bool = True) -> Shapes:
    """A LiDAR detector whose boxes two CPU cores compute in a second."""
    encoder = sparse_encoder(5, (4, 6, 8, 10), 12) | second(12, (8, 10, 12), 1, 16, extra=2)
    return encoder | detection_head(16, queries, 2, 24, denoising)
