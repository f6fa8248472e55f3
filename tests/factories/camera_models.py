"""The whole camera model at test size, on the factory frame; as dictionaries, so tests can change them."""

from pathlib import Path

from mmdet.models.necks import FPN
from mmengine.dataset import pseudo_collate

from ponderv2.datasets import (
    LoadCameras,
    LoadLidarSweeps,
    PackSensorInputs,
    PonderNuScenesDataset,
    SampleCameraRays,
)
from ponderv2.encoders import CameraEncoder, PonderConvNeXt, SimpleDepth
from ponderv2.heads import RenderHead
from ponderv2.lifting import PullLift
from ponderv2.models import RenderingPretrainer, SensorPreprocessor
from ponderv2.rendering import HierarchicalSampler
from tests.factories.keyframe import INFO_NAME

RANGE = (-24.0, -24.0, -4.0, 24.0, 24.0, 4.0)


def model_config() -> dict:
    return dict(
        type=RenderingPretrainer,
        data_preprocessor=dict(type=SensorPreprocessor),
        masking=dict(image_ratio=0.3, image_block=32),
        encoder=dict(
            type=CameraEncoder,
            grid=dict(point_cloud_range=RANGE, size=(24, 24, 4)),
            img_backbone=dict(
                type=PonderConvNeXt,
                depths=(1, 1),
                channels=(8, 16),
                out_indices=(0, 1),
                frozen_stages=-1,
                drop_path_rate=0.0,
                layer_scale=0.1,
            ),
            img_neck=dict(type=FPN, in_channels=[8, 16], out_channels=8, num_outs=2),
            neck_strides=(4, 8),
            depth_net=dict(type=SimpleDepth, in_channels=8, num_bins=16),
            lift=dict(type=PullLift, depth_range=(0.0, 32.0)),
            channels=8,
        ),
        head=dict(
            type=RenderHead,
            in_channels=8,
            render_channels=8,
            sampler=dict(type=HierarchicalSampler, num_proposals=12, num_important=4),
            chunk_size=64,
        ),
    )


def rays_config(**changes) -> dict:
    rays = dict(type=SampleCameraRays, point_cloud_range=RANGE, radius=(2.0, 30.0), rays_per_camera=16, lidar_share=0.5)
    return rays | dict(sky_region=0.0, seed=0) | changes


def dataset_config(root: Path, rays: dict | None = None) -> dict:
    return dict(
        type=PonderNuScenesDataset,
        data_root=str(root),
        ann_file=INFO_NAME,
        pipeline=[
            dict(type=LoadCameras),
            dict(type=LoadLidarSweeps),
            rays or rays_config(),
            dict(type=PackSensorInputs),
        ],
    )


def packed(root: Path, samples: int = 1, rays: dict | None = None) -> dict:
    """A collated batch of the factory frame, `samples` times."""
    from ponderv2.registry import DATASETS

    dataset = DATASETS.build(dataset_config(root, rays))
    return pseudo_collate([dataset[0] for _ in range(samples)])
