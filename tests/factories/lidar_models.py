"""LiDAR and fusion models at test size, on the factory frame; as dictionaries, so tests can change them."""

from pathlib import Path

from mmengine.dataset import pseudo_collate

from ponderv2.datasets import (
    LoadCameras,
    LoadLidarSweeps,
    PackSensorInputs,
    PonderNuScenesDataset,
    SampleCameraRays,
    SampleLidarRays,
)
from ponderv2.encoders import (
    SECOND3D,
    SECOND3DFPN,
    FusionEncoder,
    HeightKeepingSparseEncoder,
    LidarEncoder,
    VoxelUNet,
)
from ponderv2.heads import RenderHead
from ponderv2.models import RenderingPretrainer, SensorPreprocessor
from ponderv2.rendering import HierarchicalSampler
from tests.factories.camera_models import RANGE
from tests.factories.camera_models import model_config as camera_model_config
from tests.factories.keyframe import INFO_NAME


def lidar_encoder_config(**changes) -> dict:
    return (
        dict(
            type=LidarEncoder,
            grid=dict(point_cloud_range=RANGE, size=(24, 24, 4)),
            voxel_size=(0.25, 0.25, 0.25),
            pts_middle_encoder=dict(type=HeightKeepingSparseEncoder, stage_channels=(4, 4, 8, 8), blocks=1, channels=8),
            pts_backbone=dict(type=SECOND3D, in_channels=8, channels=(8, 8, 8), blocks=(1, 1, 1)),
            pts_neck=dict(type=SECOND3DFPN, in_channels=(8, 8, 8), channels=8),
            channels=8,
        )
        | changes
    )


def unet_encoder_config(**changes) -> dict:
    return (
        lidar_encoder_config(
            voxel_size=(0.5, 0.5, 0.5),
            pts_middle_encoder=dict(
                type=VoxelUNet, in_channels=4, base_channels=4, channels=(4, 8, 8, 8), blocks=(1, 1, 1, 1)
            ),
            pts_backbone=None,
            pts_neck=None,
            feature_scale=(1.0, 1.0, 1.0, 1 / 255),
            max_points=None,
            max_voxels=None,
            mask_token=True,
        )
        | changes
    )


def lidar_model_config(encoder: dict | None = None) -> dict:
    sampler = dict(type=HierarchicalSampler, num_proposals=12, num_important=4)
    head = dict(type=RenderHead, in_channels=8, render_channels=8, sampler=sampler, chunk_size=64)
    return dict(
        type=RenderingPretrainer,
        data_preprocessor=dict(type=SensorPreprocessor),
        masking=dict(point_ratio=0.8, point_block=8),
        encoder=encoder or lidar_encoder_config(),
        head=head | dict(objective=dict(color=0.0)),
    )


def fusion_model_config() -> dict:
    model = camera_model_config()
    model["encoder"] = dict(type=FusionEncoder, camera=model["encoder"], lidar=lidar_encoder_config())
    return model


def lidar_rays_config(cameras: bool = True, **changes) -> dict:
    """Rays to LiDAR returns: those of the cameras, or of the LiDAR itself."""
    if cameras:
        rays = dict(type=SampleCameraRays, rays_per_camera=16, color=False)
    else:
        rays = dict(type=SampleLidarRays, num_rays=96)
    return rays | dict(point_cloud_range=RANGE, radius=(2.0, 30.0), seed=0) | changes


def lidar_dataset_config(root: Path, cameras: bool = True, **rays) -> dict:
    load = [dict(type=LoadCameras, decode=False, image_size=(90, 160))] if cameras else []
    rays = lidar_rays_config(cameras, **rays)
    pipeline = [*load, dict(type=LoadLidarSweeps, num_sweeps=2), rays, dict(type=PackSensorInputs)]
    return dict(type=PonderNuScenesDataset, data_root=str(root), ann_file=INFO_NAME, pipeline=pipeline)


def packed_lidar(root: Path, samples: int = 1, **changes) -> dict:
    """A collated batch of the factory frame, `samples` times."""
    from ponderv2.registry import DATASETS

    dataset = DATASETS.build(lidar_dataset_config(root, **changes))
    return pseudo_collate([dataset[0] for _ in range(samples)])
