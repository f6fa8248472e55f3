"""LiDAR pre-training with rendered features of DINOv2: a MinkUNet-34 on one sweep, 0.1 m voxels.

Hardware: 4 A100, as `ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes`, whose schedule it has; time not run yet.
Aims at: 45.0 (Seal) to 50.1 mIoU (OLIVINE) in a linear probe on nuScenes lidarseg (published, by point-pixel
distillation, all MinkUNet-34; SLidR 38.8): `lidarseg_minkunet_vs0p05_4xb3_50e_nuscenes_linear_probe`. Not run.
Ours, after ConDense and ScaLR: features of a frozen DINOv2-S, whitened and reduced to 64 channels, are rendered beside
depth. Published systems distil at points; no weight is published for rendering: 1 beside the 10 of depth is ours.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.image_features import digest_images, distil, fit_reduction
    from .._base_.nuscenes import eval_loader, frames_dataset, load_cameras, load_sweep, pack, train_loader
    from .._base_.nuscenes import turn_and_flip
    from .ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes import *

from ponderv2.encoders import VoxelMinkUNet
from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.heads import RenderHead
from ponderv2.models import ImageFeaturePretrainer
from ponderv2.rendering import HierarchicalSampler

model = dict(
    model,
    type=ImageFeaturePretrainer,
    encoder=dict(lidar_unet, mask_token=False, pts_middle_encoder=dict(type=VoxelMinkUNet, in_channels=4)),
    image_branch=distil,
    head=dict(
        type=RenderHead,
        in_channels=96,
        hidden_channels=32,
        objective=dict(color=0.0, feature=1.0),
        feature=dict(channels=64),
        sampler=dict(type=HierarchicalSampler, single_jitter=False),
    ),
)

# Data: images are opened for the teacher, and not augmented, so that its features can be kept
train_dataloader = dict(
    train_loader,
    batch_size=4,
    dataset=dict(
        frames_dataset,
        ann_file="nuscenes_infos_train.pkl",
        pipeline=[load_cameras, digest_images, load_sweep, turn_and_flip, depth_rays, pack],
    ),
)
val_dataset = dict(
    frames_dataset,
    ann_file="nuscenes_infos_val.pkl",
    test_mode=True,
    pipeline=[load_cameras, digest_images, load_sweep, dict(depth_rays, split="all", seed=0), pack],
)
val_dataloader = dict(eval_loader, dataset=dict(val_dataset, load_interval=20))
test_dataloader = dict(eval_loader, dataset=val_dataset)
custom_hooks = [
    dict(type=RenderPreviewHook, interval=2000, stride=8),
    dict(type=EncoderExportHook),
    fit_reduction,
]
