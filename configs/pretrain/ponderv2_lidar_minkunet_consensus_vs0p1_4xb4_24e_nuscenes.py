"""LiDAR pre-training in consensus with a DINOv2 that is trained as well (ConDense): a MinkUNet-34, 0.1 m voxels.

Hardware: 4 A100, as `ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes`, whose schedule it has; time not run yet.
Aims at: 45.0 (Seal) to 50.1 mIoU (OLIVINE) in a linear probe on nuScenes lidarseg (published, by point-pixel
distillation, all MinkUNet-34; SLidR 38.8): `lidarseg_minkunet_vs0p05_4xb3_50e_nuscenes_linear_probe`. Not run.
ConDense (ECCV 2024) published neither code nor weights of its losses; those here are ours: 1 each for rendered
features, the student, its views and its anchor.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.image_features import collapse_alarm, consensus, digest_images, fit_reduction
    from .._base_.nuscenes import eval_loader, frames_dataset, load_cameras, load_sweep, pack, train_loader
    from .._base_.nuscenes import turn_and_flip
    from .ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes import *

from ponderv2.encoders import VoxelMinkUNet
from ponderv2.engine import CheckedOptimWrapperConstructor, EncoderExportHook, RenderPreviewHook
from ponderv2.heads import RenderHead
from ponderv2.models import ImageFeaturePretrainer
from ponderv2.rendering import HierarchicalSampler

model = dict(
    model,
    type=ImageFeaturePretrainer,
    encoder=dict(lidar_unet, mask_token=False, pts_middle_encoder=dict(type=VoxelMinkUNet, in_channels=4)),
    image_branch=consensus,
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
        history=1,
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

# The student, which starts from trained weights, has a twentieth of the rate: 1e-5 at the peak.
optim_wrapper = dict(
    optim_wrapper,
    constructor=CheckedOptimWrapperConstructor,
    paramwise_cfg=dict(custom_keys={"image_branch.student": dict(lr_mult=0.05)}),
)
custom_hooks = [
    dict(type=RenderPreviewHook, interval=2000, stride=8),
    dict(type=EncoderExportHook),
    fit_reduction,
    collapse_alarm,
]
