"""Sizes that two CPU cores can train in minutes: encoders of 32 channels, loaders of one frame, hooks for few steps.

With one frame a batch, running statistics of masked volumes do not fit whole ones: norms are by row, plane or sample.
"""

from mmdet3d.models.backbones import SECOND
from mmdet3d.models.necks import SECONDFPN
from mmdet.models.necks import FPN
from mmengine.dataset import DefaultSampler, InfiniteSampler, pseudo_collate
from mmengine.hooks import CheckpointHook

from ponderv2.datasets import PonderNuScenesDataset, PonderNuScenesDetDataset, SampleCameraRays
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
from ponderv2.heads import BEVCenterHead, RenderHead, UVTRHead
from ponderv2.lifting import DeformableLift, PullLift, SplatLift
from ponderv2.rendering import HierarchicalSampler, VolSDFOpacity

channels = 32
row_norm = dict(type="LN")
plane_norm = dict(type="IN2d", affine=True)
sample_norm = dict(type="IN3d", affine=True)
point_cloud_range = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
fine_grid = dict(point_cloud_range=point_cloud_range, size=(144, 144, 8))
coarse_grid = dict(point_cloud_range=point_cloud_range, size=(108, 108, 8))
wide_grid = dict(point_cloud_range=point_cloud_range, size=(54, 54, 4))
pillar_grid = dict(point_cloud_range=point_cloud_range, size=(54, 54, 1))

# Encoders, on cells of 1 m
tiny_convnext = dict(
    type=PonderConvNeXt,
    depths=(1, 1, 2),
    channels=(32, 64, 128),
    out_indices=(0, 2),
    drop_path_rate=0.0,
    layer_scale=0.1,
    frozen_stages=-1,
)
tiny_camera_encoder = dict(
    type=CameraEncoder,
    grid=coarse_grid,
    img_backbone=tiny_convnext,
    img_neck=dict(type=FPN, in_channels=[32, 128], out_channels=channels, num_outs=2),
    neck_strides=(4, 16),
    depth_net=dict(type=SimpleDepth, in_channels=channels, num_bins=64),
    lift=dict(type=PullLift, depth_range=(0.0, 64.0)),
    channels=channels,
    num_convs=1,
    norm_cfg=sample_norm,
)
# The same with other lifts: BEVDet and BEVDepth splat from strides 8 and 16, BEVFormer asks for each cell.
tiny_bevdet_encoder = dict(
    tiny_camera_encoder,
    img_backbone=dict(tiny_convnext, out_indices=(1, 2)),
    img_neck=dict(type=FPN, in_channels=[64, 128], out_channels=channels, num_outs=2),
    neck_strides=(8, 16),
    lift=dict(type=SplatLift, depth_range=(0.0, 64.0)),
)
tiny_bevdepth_encoder = dict(
    tiny_bevdet_encoder,
    depth_net=dict(
        type=DepthNet,
        in_channels=channels,
        num_bins=64,
        channels=channels,
        pyramid_channels=16,
        num_blocks=1,
        norm_cfg=dict(type="GN", num_groups=8),
        camera_aware=True,
    ),
)
tiny_bevformer_encoder = dict(
    tiny_camera_encoder,
    depth_net=None,
    lift=dict(
        type=DeformableLift,
        channels=channels,
        size=(108, 108, 8),
        num_levels=2,
        num_heads=4,
        num_points=2,
        self_attention=False,
        ffn_channels=None,
    ),
)
# The same for pre-training with history, on cells of 2 m: self-attention costs as much again, and frames are three.
tiny_bevformer_temporal_encoder = dict(
    tiny_bevformer_encoder,
    grid=wide_grid,
    lift=dict(
        type=DeformableLift,
        channels=channels,
        size=(54, 54, 4),
        num_levels=2,
        num_heads=4,
        num_points=2,
        ffn_channels=None,
        history=True,
    ),
    num_convs=0,
)
# BEVFormer without history: two layers of pillars of 2 m
tiny_bevformer_detector = dict(
    tiny_camera_encoder,
    grid=pillar_grid,
    img_neck=dict(type=FPN, in_channels=[32, 128], out_channels=64, num_outs=2),
    depth_net=None,
    lift=dict(
        type=DeformableLift,
        channels=64,
        size=(54, 54, 1),
        reference_heights=(1 / 16, 17 / 48, 31 / 48, 15 / 16),
        num_layers=2,
        num_levels=2,
        num_points=8,
        ffn_channels=128,
    ),
    channels=64,
    num_convs=0,
)
tiny_lidar_encoder = dict(
    type=LidarEncoder,
    grid=coarse_grid,
    voxel_size=(0.125, 0.125, 0.125),
    # Numbers of order one; there is a single sweep, so no time lag.
    feature_scale=(1 / 54, 1 / 54, 1 / 5, 1 / 255),
    pts_middle_encoder=dict(
        type=HeightKeepingSparseEncoder,
        in_channels=4,
        stage_channels=(16, 32, 48, 64),
        blocks=1,
        channels=channels,
        norm_cfg=row_norm,
    ),
    pts_backbone=dict(
        type=SECOND3D, in_channels=channels, channels=(32, 48, 64), blocks=(1, 1, 1), norm_cfg=plane_norm
    ),
    pts_neck=dict(type=SECOND3DFPN, in_channels=(32, 48, 64), channels=channels, norm_cfg=plane_norm),
    channels=channels,
)
tiny_fusion_encoder = dict(
    type=FusionEncoder, camera=tiny_camera_encoder, lidar=tiny_lidar_encoder, norm_cfg=sample_norm
)

# Heads. VolSDF's opacity learns more in few steps than NeuS', the published one (docs/benchmarks.md).
tiny_lidar_render_head = dict(
    type=RenderHead,
    in_channels=channels,
    render_channels=32,
    hidden_channels=32,
    norm_cfg=sample_norm,
    sampler=dict(type=HierarchicalSampler, num_proposals=32, num_important=16),
    objective=dict(preset="occupancy", color=0.0),
)
tiny_camera_render_head = dict(tiny_lidar_render_head, opacity=dict(type=VolSDFOpacity), objective="occupancy")
# The published one of the camera ablation with few queries and layers, but with 128 channels: with as few as the volume
# has it learns much more slowly. Not all tiny encoders end with a normed convolution, as published ones do.
tiny_detection_head = dict(
    type=UVTRHead, in_channels=channels, channels=128, num_classes=10, num_queries=200, num_layers=3, volume_norm=True
)
tiny_bevformer_head = dict(
    type=UVTRHead,
    in_channels=64,
    num_classes=10,
    num_queries=200,
    num_layers=3,
    cross_attention="deformable",
    code_weights=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2),
)
# CenterPoint's. All classes share the branches, which cost six times as much in the published groups, and the loss is
# divided by all boxes of a frame: of some groups a frame has none. Cells are wider than people, and the one beside a
# center must not count as another.
group_norm = dict(type="GN", num_groups=8)
tiny_center_head = dict(
    type=BEVCenterHead,
    in_channels=channels,
    grid=coarse_grid,
    bev_channels=64,
    bev_backbone=dict(
        type=SECOND,
        in_channels=64,
        out_channels=(64, 64, 64),
        layer_nums=(1, 1, 1),
        layer_strides=(1, 2, 2),
        norm_cfg=group_norm,
    ),
    bev_neck=dict(
        type=SECONDFPN,
        in_channels=(64, 64, 64),
        out_channels=(32, 32, 32),
        upsample_strides=(1, 2, 4),
        norm_cfg=group_norm,
        use_conv_for_no_stride=True,
    ),
    tasks=[
        (
            *("car", "truck", "trailer", "bus", "construction_vehicle"),
            *("bicycle", "motorcycle", "pedestrian", "traffic_cone", "barrier"),
        )
    ],
    branch_channels=32,
    init_bias=-4.6,
    norm_cfg=group_norm,
    decoding=dict(
        score_threshold=0.01,
        radii=dict(
            car=2.0,
            truck=3.5,
            trailer=3.5,
            bus=3.5,
            construction_vehicle=3.5,
            bicycle=1.5,
            motorcycle=1.5,
            pedestrian=1.5,
            traffic_cone=1.5,
            barrier=1.5,
        ),
    ),
)
# The same on BEVFormer's pillars of 2 m; velocities count as much as places.
tiny_bevformer_center_head = dict(
    tiny_center_head,
    in_channels=64,
    grid=pillar_grid,
    bev_backbone=dict(
        type=SECOND,
        in_channels=64,
        out_channels=(64, 64),
        layer_nums=(1, 1),
        layer_strides=(1, 2),
        norm_cfg=group_norm,
    ),
    bev_neck=dict(
        type=SECONDFPN,
        in_channels=(64, 64),
        out_channels=(48, 48),
        upsample_strides=(1, 2),
        norm_cfg=group_norm,
        use_conv_for_no_stride=True,
    ),
    min_radius=1,
    code_weights=(1.0,) * 10,
)

# Data: `--data-root` says where
keyframe_dataset = dict(type=PonderNuScenesDataset, data_root="data/nuscenes", ann_file="nuscenes_infos_keyframe.pkl")
synthetic_dataset = dict(type=PonderNuScenesDataset, data_root="data/synthetic")
synthetic_boxes_dataset = dict(type=PonderNuScenesDetDataset, data_root="data/synthetic", use_valid_flag=True)
tiny_rays = dict(type=SampleCameraRays, point_cloud_range=point_cloud_range, radius=(3.0, 54.0))
_loading = dict(batch_size=1, collate_fn=dict(type=pseudo_collate))
tiny_train_loader = dict(
    num_workers=1, persistent_workers=True, sampler=dict(type=InfiniteSampler, shuffle=True), **_loading
)
tiny_eval_loader = dict(num_workers=0, sampler=dict(type=DefaultSampler, shuffle=False), **_loading)

two_checkpoints = dict(checkpoint=dict(type=CheckpointHook, by_epoch=False, interval=100, max_keep_ckpts=2))
one_checkpoint = dict(checkpoint=dict(type=CheckpointHook, by_epoch=False, interval=100, max_keep_ckpts=1))
