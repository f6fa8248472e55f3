"""From images and points to volume: with the published placement converted encoders fill the published volume."""

import pytest
import torch
from mmdet.models.necks import FPN
from torch import Tensor

from ponderv2.encoders import (
    SECOND3D,
    SECOND3DFPN,
    CameraEncoder,
    DepthNet,
    FusionEncoder,
    HeightKeepingSparseEncoder,
    LidarEncoder,
    PonderConvNeXt,
    SimpleDepth,
)
from ponderv2.lifting import PullLift, SplatLift
from ponderv2.registry import MODELS
from ponderv2.structures import SensorBatch
from tests.factories import published_image_modules as image
from tests.factories import published_layout as layout
from tests.factories import published_lidar_modules as lidar
from tests.factories.published_conversion import converted
from tests.factories.published_depth import published_complex_depth, published_simple_depth
from tests.factories.published_lifts import published_pull, published_splat
from tests.factories.small_rig import PADDED, small_rig

RANGE, CELLS, VOXEL = (-6.0, -6.0, -2.0, 6.0, 6.0, 2.0), (12, 12, 3), (0.25, 0.25, 1 / 3)
DEPTHS, BINS = (1.013, 9.041), 16
CHANNELS = 10
GRID = dict(point_cloud_range=RANGE, size=CELLS, placement="published")


def camera_config(pulls: bool) -> dict:
    stages = (1, 2) if pulls else (2,)
    neck = dict(type=FPN, in_channels=[12, 16] if pulls else [16], out_channels=CHANNELS, num_outs=3 if pulls else 1)
    depth = dict(type=SimpleDepth) if pulls else dict(type=DepthNet, channels=CHANNELS, pyramid_channels=4)
    return dict(
        type=CameraEncoder,
        grid=GRID,
        img_backbone=dict(type=PonderConvNeXt, depths=(1, 1, 2), channels=(8, 12, 16), out_indices=stages),
        img_neck=neck | (dict(add_extra_convs="on_output") if pulls else {}),
        neck_strides=(8, 16, 32) if pulls else (16,),
        depth_net=depth | dict(in_channels=CHANNELS, num_bins=BINS),
        lift=dict(type=PullLift if pulls else SplatLift, depth_range=DEPTHS),
        channels=CHANNELS,
        num_convs=2,
    )


def lidar_config() -> dict:
    return dict(
        type=LidarEncoder,
        grid=GRID,
        voxel_size=VOXEL,
        pts_middle_encoder=dict(type=HeightKeepingSparseEncoder, stage_channels=(4, 5, 6), channels=7),
        pts_backbone=dict(type=SECOND3D, in_channels=7, channels=(4, 5, 6), blocks=(1, 1, 1)),
        pts_neck=dict(type=SECOND3DFPN, in_channels=(4, 5, 6), channels=CHANNELS),
        channels=CHANNELS,
        num_convs=1,
    )


def camera_weights(pulls: bool) -> dict[str, Tensor]:
    shapes = layout.convnext((1, 1, 2), (8, 12, 16), normed=(1, 2) if pulls else (2,))
    shapes |= layout.neck((12, 16) if pulls else (16,), CHANNELS, extra=int(pulls))
    shapes |= layout.simple_depth(CHANNELS, BINS) if pulls else layout.complex_depth(CHANNELS, BINS, 4)
    return layout.random_weights(shapes | layout.lift_convs(CHANNELS, 2))


def published_camera_volume(weights: dict[str, Tensor], batch: SensorBatch, pulls: bool) -> Tensor:
    shape = batch.images.shape[:2]
    maps = image.convnext(weights, batch.images.flatten(0, 1), (1, 1, 2), (1, 2) if pulls else (2,))
    maps = image.neck(weights, maps)
    depth = published_simple_depth if pulls else published_complex_depth
    depths = [depth(weights, level).unflatten(0, shape) for level in maps]
    maps = [level.unflatten(0, shape) for level in maps]
    if pulls:
        volume = published_pull(maps, depths, batch.rig.lidar2img, PADDED, RANGE, CELLS, DEPTHS)
    else:
        volume, places = published_splat(maps[0], depths[0], batch.rig.lidar2img, 16, RANGE, CELLS, DEPTHS)
        # No point is so near a border between cells that rounding decides.
        assert (places - places.round()).abs().min() > 1e-5
    for k in range(2):
        volume = image.biased_conv(weights, f"pts_bbox_head.view_trans.conv_layer.{k}", volume)
    return volume


def batch_of(points: bool = False) -> SensorBatch:
    rig = small_rig(cameras=3, batch=2, turn=0.31, center=(0.37, -0.23, 0.11)).to("cpu", torch.float32)
    clouds = [torch.randn(300, 5) * torch.tensor([2.0, 2.0, 0.8, 1.0, 0.1]) for _ in range(2)] if points else None
    return SensorBatch(rig=rig, images=torch.randn(2, 3, 3, *PADDED), points=clouds)


def assert_same(actual: Tensor, expected: Tensor) -> None:
    assert expected.abs().mean() > 0.01
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("pulls", [True, False], ids=["pull", "splat"])
def test_a_camera_encoder(pulls):
    weights, batch = camera_weights(pulls), batch_of()
    encoder = MODELS.build(camera_config(pulls)).eval()
    encoder.load_state_dict(converted(weights, "encoder"))
    assert_same(encoder(batch).volume.data, published_camera_volume(weights, batch, pulls))


@torch.no_grad()
def test_a_fusion_encoder():
    weights = camera_weights(pulls=True)
    weights |= layout.random_weights(
        layout.sparse_encoder(5, (4, 5, 6), 7)
        | layout.second(7, (4, 5, 6), 1, CHANNELS, extra=1)
        | layout.biased_convs("pts_bbox_head.conv_trans_head_1", CHANNELS)
    )
    encoder = MODELS.build(dict(type=FusionEncoder, camera=camera_config(True), lidar=lidar_config())).eval()
    encoder.load_state_dict(converted(weights, "encoder", fusion=True))
    batch = batch_of(points=True)
    voxels, occupied = (
        torch.stack(parts)
        for parts in zip(*(lidar.voxel_means(cloud, RANGE, VOXEL) for cloud in batch.points), strict=True)
    )
    expected = lidar.second(weights, lidar.sparse_encoder(weights, voxels, occupied))
    expected = expected + published_camera_volume(weights, batch, pulls=True)
    assert_same(encoder(batch).volume.data, image.biased_conv(weights, "pts_bbox_head.conv_trans_head_1", expected))
