"""The published encoders at full size. Pre-training and fine-tuning build the same one, so its weights fit key by key.

A fine-tuned encoder has three more convolutions, which are new, and takes all else from pre-training: its image
backbone then needs no weights of its own.
"""

from mmdet.models.necks import FPN

from ponderv2.encoders import (
    SECOND3D,
    SECOND3DFPN,
    CameraEncoder,
    DepthNet,
    HeightKeepingSparseEncoder,
    LidarEncoder,
    PonderConvNeXt,
    SimpleDepth,
    VoxelUNet,
)
from ponderv2.lifting import DeformableLift, PullLift, SplatLift

# Where the image backbone starts (docs/model_zoo.md says where the files come from): pre-training without labels, from
# SparK; baselines from supervised ImageNet-1k, in transformers' copy of the file that the published configs name.
spark_weights = "data/ckpts/convnextS_1kpretrained_official_style.pth"
imagenet_weights = "facebook/convnext-small-224"
grid_54m = dict(point_cloud_range=(-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), size=(180, 180, 5))

convnext_small = dict(
    type=PonderConvNeXt,
    size="small",
    weights=spark_weights,
    out_indices=(1, 2, 3),
    frozen_stages=1,
    drop_path_rate=0.2,
    grad_checkpointing=True,
)

# "uvtr_cam_vs0.1", UniPAD's ablation: ±51.2 m, pull from four levels
camera_pull_51m = dict(
    type=CameraEncoder,
    grid=dict(point_cloud_range=(-51.2, -51.2, -5.0, 51.2, 51.2, 3.0), size=(128, 128, 5)),
    img_backbone=convnext_small,
    img_neck=dict(type=FPN, in_channels=[192, 384, 768], out_channels=128, num_outs=4, add_extra_convs="on_output"),
    neck_strides=(8, 16, 32, 64),
    depth_net=dict(type=SimpleDepth, in_channels=128, num_bins=64),
    lift=dict(type=PullLift, depth_range=(0.0, 64.0)),
    channels=128,
)
camera_pull_51m_finetuned = dict(camera_pull_51m, img_backbone=dict(convnext_small, weights=None), num_convs=3)

# The same with the lifts of PonderV2's table 18. BEVDet and BEVDepth splat from strides 16 and 32. No config of them
# was published; BEVDet is said to have a step of 16 pixels and 64 bins of a metre (UniPAD#9).
_two_levels = dict(
    camera_pull_51m,
    img_backbone=dict(convnext_small, out_indices=(2, 3)),
    img_neck=dict(type=FPN, in_channels=[384, 768], out_channels=128, num_outs=2),
    neck_strides=(16, 32),
)
camera_bevdet_51m = dict(_two_levels, lift=dict(type=SplatLift, depth_range=(0.0, 64.0)))
camera_bevdepth_51m = dict(
    _two_levels,
    depth_net=dict(type=DepthNet, in_channels=128, num_bins=118, camera_aware=True),
    lift=dict(type=SplatLift, depth_range=(1.0, 60.0)),
)
# A query for every cell, one layer of attention to the images alone, two points in each of four maps.
camera_bevformer_51m = dict(
    camera_pull_51m,
    depth_net=None,
    lift=dict(
        type=DeformableLift,
        channels=128,
        size=(128, 128, 5),
        num_points=2,
        self_attention=False,
        ffn_channels=None,
    ),
)
_finetuned_two_levels = dict(img_backbone=dict(convnext_small, out_indices=(2, 3), weights=None), num_convs=3)
camera_bevdet_51m_finetuned = dict(camera_bevdet_51m, **_finetuned_two_levels)
camera_bevdepth_51m_finetuned = dict(camera_bevdepth_51m, **_finetuned_two_levels, depth_loss=dict(weight=1.0))
camera_bevformer_51m_finetuned = dict(
    camera_bevformer_51m, img_backbone=dict(convnext_small, weights=None), num_convs=3
)

# The same in the volume of the LiDAR
camera_pull_54m = dict(
    type=CameraEncoder,
    grid=grid_54m,
    img_backbone=convnext_small,
    img_neck=dict(type=FPN, in_channels=[192, 384, 768], out_channels=256, num_outs=4, add_extra_convs="on_output"),
    neck_strides=(8, 16, 32, 64),
    depth_net=dict(type=SimpleDepth, in_channels=256, num_bins=64),
    lift=dict(type=PullLift, depth_range=(0.0, 64.0)),
    channels=256,
)

# "uvtr_cam_vs0.075", UniPAD's final camera model: splat from the last stage, 118 depth bins of half a metre
camera_splat_54m = dict(
    type=CameraEncoder,
    grid=grid_54m,
    img_backbone=dict(convnext_small, out_indices=(3,)),
    # Of one level it is a 1×1 and a 3×3 convolution without norm: the published "CustomFPN".
    img_neck=dict(type=FPN, in_channels=[768], out_channels=256, num_outs=1),
    neck_strides=(32,),
    depth_net=dict(type=DepthNet, in_channels=256, num_bins=118),
    lift=dict(type=SplatLift, depth_range=(1.0, 60.0)),
    channels=256,
)
camera_splat_54m_finetuned = dict(
    camera_splat_54m,
    img_backbone=dict(convnext_small, out_indices=(3,), weights=None),
    num_convs=3,
    depth_loss=dict(weight=1.0),
)

# "uvtr_lidar_vs0.075", UniPAD's LiDAR model
lidar_voxelnet = dict(
    type=LidarEncoder,
    grid=grid_54m,
    voxel_size=(0.075, 0.075, 0.2),
    max_points=10,
    max_voxels=(120000, 160000),
    pts_middle_encoder=dict(type=HeightKeepingSparseEncoder, stage_channels=(16, 32, 64, 128), channels=256),
    pts_backbone=dict(type=SECOND3D, in_channels=256, channels=(128, 256, 512), blocks=(5, 5, 5)),
    pts_neck=dict(type=SECOND3DFPN, in_channels=(128, 256, 512), channels=256),
    channels=256,
)
lidar_voxelnet_finetuned = dict(lidar_voxelnet, num_convs=3)

# PonderV2's outdoor model
lidar_unet = dict(
    type=LidarEncoder,
    grid=grid_54m,
    voxel_size=(0.1, 0.1, 0.1),
    max_points=None,
    max_voxels=None,
    feature_scale=(1.0, 1.0, 1.0, 1 / 255),
    mask_token=True,
    pts_middle_encoder=dict(type=VoxelUNet, in_channels=4),
    channels=96,
)
