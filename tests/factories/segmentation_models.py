"""Segmentors at test size, and sweeps with labels for them."""

import torch
from mmdet3d.structures import Det3DDataSample, PointData

from ponderv2.encoders import PointFusionEncoder, VoxelMinkUNet
from ponderv2.heads import PointSegmentationHead
from ponderv2.models import LidarSegmentor, SensorPreprocessor
from ponderv2.registry import MODELS
from ponderv2.structures import SensorBatch
from tests.factories.camera_models import model_config
from tests.factories.lidar_models import unet_encoder_config

MINK_UNET = dict(
    type=VoxelMinkUNet,
    base_channels=4,
    encoder_channels=(4, 8),
    encoder_blocks=(1, 1),
    decoder_channels=(8, 8),
    decoder_blocks=(1, 1),
)


def segmentor(encoder: dict | None = None, **changes) -> LidarSegmentor:
    """A segmentor of three classes, whose norms have seen a sweep, so that evaluation is not trivial."""
    torch.manual_seed(0)
    head = dict(type=PointSegmentationHead, in_channels=8, num_classes=3) | changes.pop("head", {})
    return MODELS.build(
        dict(
            type=LidarSegmentor,
            encoder=encoder or unet_encoder_config(),
            head=head,
            data_preprocessor=dict(type=SensorPreprocessor),
        )
        | changes
    )


def mink_segmentor(**changes) -> LidarSegmentor:
    return segmentor(unet_encoder_config(pts_middle_encoder=MINK_UNET, mask_token=False), **changes)


def fusion_encoder_config() -> dict:
    return dict(type=PointFusionEncoder, camera=model_config()["encoder"], lidar=unet_encoder_config())


def sweep(seed: int = 0, count: int = 400) -> torch.Tensor:
    """Points of a few boxes in the range of the test models, and some outside, `[P, 5]`."""
    generator = torch.Generator().manual_seed(seed)
    centers = (torch.rand(8, 3, generator=generator) - 0.5) * torch.tensor([20.0, 20.0, 3.0])
    spread = torch.randn(count, 3, generator=generator) * torch.tensor([2.0, 2.0, 0.5])
    xyz = centers[torch.randint(8, (count,), generator=generator)] + spread
    xyz[:5] += 100.0
    rest = torch.rand(count, 2, generator=generator) * torch.tensor([255.0, 0.0])
    return torch.cat([xyz, rest], dim=1)


def sweeps(*seeds: int, count: int = 400) -> dict:
    """A batch of sweeps as the preprocessor gives it, labeled by height and intensity."""
    points = [sweep(seed, count) for seed in seeds]
    samples = []
    for seed, cloud in zip(seeds, points, strict=True):
        labels = (cloud[:, 2] > 0).long() + (cloud[:, 3] > 128).long()
        labels[::7] = -1
        sample = Det3DDataSample(metainfo={"token": f"sweep-{seed}"})
        sample.gt_pts_seg = PointData(pts_semantic_mask=labels)
        samples.append(sample)
    return {"inputs": SensorBatch(points=points), "data_samples": samples}
