"""Each converted module of an encoder computes what the published one does, in float32 to 1e-4."""

import pytest
import torch
from mmdet.models.necks import FPN
from torch import Tensor

from ponderv2.encoders import (
    SECOND3D,
    SECOND3DFPN,
    DepthNet,
    HeightKeepingSparseEncoder,
    LidarEncoder,
    PonderConvNeXt,
    SimpleDepth,
)
from ponderv2.encoders.blocks import conv3d_block
from ponderv2.structures import SensorBatch, VoxelGrid
from tests.factories import published_image_modules as image
from tests.factories import published_layout as layout
from tests.factories import published_lidar_modules as lidar
from tests.factories.published_conversion import converted
from tests.factories.published_depth import published_complex_depth, published_simple_depth
from tests.factories.voxels import random_voxels

RANGE = (-4.0, -4.0, -2.0, 4.0, 4.0, 2.0)
PUBLISHED_NORM = dict(type="BN3d", eps=1e-3, momentum=0.01)


def assert_same(actual: Tensor, expected: Tensor) -> None:
    # A comparison of zeros would say nothing.
    assert expected.abs().mean() > 0.01
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_image_backbone():
    depths, channels = (1, 2, 1), (8, 12, 16)
    weights = layout.random_weights(layout.convnext(depths, channels, normed=(1, 2)))
    backbone = PonderConvNeXt(depths=depths, channels=channels, out_indices=(1, 2)).eval()
    backbone.load_state_dict(converted(weights, "encoder.img_backbone"))
    images = torch.randn(2, 3, 64, 96)
    expected = image.convnext(weights, images, depths, normed=(1, 2))
    for actual, wanted in zip(backbone(images), expected, strict=True):
        assert_same(actual, wanted)


@torch.no_grad()
@pytest.mark.parametrize("sizes", [((9, 14), (5, 7), (3, 4)), ((5, 7),)], ids=["FPN", "CustomFPN"])
def test_the_neck_and_the_projection_after_it(sizes):
    in_channels, extra = [4, 6, 8][-len(sizes) :], int(len(sizes) > 1)
    weights = layout.random_weights(layout.neck(in_channels, 10, extra))
    neck = FPN(in_channels, 10, len(sizes) + extra, add_extra_convs="on_output" if extra else False).eval()
    neck.load_state_dict(converted(weights, "encoder.img_neck"))
    projection = torch.nn.Conv2d(10, 10, 1)
    projection.load_state_dict(converted(weights, "encoder.input_proj"))
    maps = [torch.randn(2, c, *size) for c, size in zip(in_channels, sizes, strict=True)]
    for actual, expected in zip(neck(maps), image.neck(weights, maps), strict=True):
        assert_same(projection(actual), expected)


@torch.no_grad()
def test_the_depth_heads():
    maps = torch.randn(2, 8, 20, 24)
    weights = layout.random_weights(layout.simple_depth(8, 6))
    simple = SimpleDepth(8, 6)
    simple.load_state_dict(converted(weights, "encoder.depth_net"))
    assert_same(simple(maps).softmax(dim=1), published_simple_depth(weights, maps))
    weights = layout.random_weights(layout.complex_depth(8, 6, 4))
    net = DepthNet(8, 6, channels=8, pyramid_channels=4).eval()
    net.load_state_dict(converted(weights, "encoder.depth_net"))
    assert_same(net(maps).softmax(dim=1), published_complex_depth(weights, maps))


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("pts_bbox_head.view_trans.conv_layer.0", "encoder.convs.0"),
        ("pts_bbox_head.conv_trans_head_1", "encoder.fuse.0"),
    ],
)
def test_convolutions_whose_bias_goes_into_the_running_mean(name, part):
    weights = layout.random_weights(layout.biased_convs(name, 6))
    assert weights[f"{name}.0.bias"].abs().min() > 0
    block = conv3d_block(6, 6).eval()
    block.load_state_dict(converted(weights, part))
    volume = torch.randn(2, 6, 3, 5, 7)
    assert_same(block(volume), image.biased_conv(weights, name, volume))


@torch.no_grad()
@pytest.mark.parametrize("spconv", [1, 2])
def test_the_sparse_encoder(spconv):
    weights = layout.random_weights(layout.sparse_encoder(3, (4, 5, 6), 7))
    saved = weights
    if spconv == 2:
        saved = {k: v.permute(4, 0, 1, 2, 3) if v.dim() == 5 else v for k, v in weights.items()}
    encoder = HeightKeepingSparseEncoder(3, stage_channels=(4, 5, 6), channels=7).eval()
    encoder.load_state_dict(converted(saved, "encoder.pts_middle_encoder"))
    grid, cells = VoxelGrid(RANGE, (16, 16, 12)), VoxelGrid(RANGE, (4, 4, 3))
    voxels = random_voxels(grid)
    voxels = voxels.with_features(voxels.features.float())
    data = torch.zeros(2, *grid.shape, 3)
    data[tuple(voxels.coordinates.long().T)] = voxels.features
    occupied = torch.zeros(2, *grid.shape, dtype=torch.bool)
    occupied[tuple(voxels.coordinates.long().T)] = True
    assert_same(encoder(voxels, cells), lidar.sparse_encoder(weights, data.permute(0, 4, 1, 2, 3), occupied))


@torch.no_grad()
def test_second_its_neck_and_the_convolutions_after_it():
    weights = layout.random_weights(layout.second(6, (4, 5, 6), 2, 8, extra=2))
    backbone = SECOND3D(6, channels=(4, 5, 6), blocks=(2, 2, 2)).eval()
    backbone.load_state_dict(converted(weights, "encoder.pts_backbone"))
    neck = SECOND3DFPN((4, 5, 6), channels=8).eval()
    neck.load_state_dict(converted(weights, "encoder.pts_neck"))
    convs = torch.nn.ModuleList(conv3d_block(8, 8, PUBLISHED_NORM) for _ in range(2)).eval()
    convs.load_state_dict(converted(weights, "encoder.convs"))
    volume = torch.randn(2, 6, 3, 8, 12)
    actual = neck(backbone(volume), 3)
    for conv in convs:
        actual = conv(actual)
    assert_same(actual, lidar.second(weights, volume))


@torch.no_grad()
def test_the_lidar_encoder_from_points_to_volume():
    shapes = layout.sparse_encoder(5, (4, 5, 6), 7) | layout.second(7, (4, 5, 6), 1, 8, extra=1)
    weights = layout.random_weights(shapes)
    encoder = LidarEncoder(
        grid=dict(point_cloud_range=RANGE, size=(8, 8, 3)),
        voxel_size=(0.25, 0.25, 1 / 3),
        pts_middle_encoder=dict(type=HeightKeepingSparseEncoder, stage_channels=(4, 5, 6), channels=7),
        pts_backbone=dict(type=SECOND3D, in_channels=7, channels=(4, 5, 6), blocks=(1, 1, 1)),
        pts_neck=dict(type=SECOND3DFPN, in_channels=(4, 5, 6), channels=8),
        channels=8,
        num_convs=1,
        norm_cfg=PUBLISHED_NORM,
    ).eval()
    encoder.load_state_dict(converted(weights, "encoder"))
    points = torch.randn(400, 5) * torch.tensor([1.5, 1.5, 0.8, 1.0, 0.1])
    voxels, occupied = lidar.voxel_means(points, RANGE, (0.25, 0.25, 1 / 3))
    expected = lidar.second(weights, lidar.sparse_encoder(weights, voxels[None], occupied[None]))
    assert_same(encoder(SensorBatch(points=[points])).volume.data, expected)
