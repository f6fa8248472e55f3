"""LiDAR pre-training in consensus with an image branch that is trained as well, tiny, on synthetic street scenes.

As `ponderv2_lidar_unet_distil_synthetic`, with a student of the street teacher in its place: it is drawn towards
rendered features and towards its own in overlapping cameras and in the key frame before, and by an anchor towards the
teacher. The street teacher is a stand-in that was trained on labels of other synthetic towns.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.image_features import collapse_alarm, digest_images, fit_reduction, tiny_consensus, tiny_feature
    from .._base_.nuscenes import load_cameras, load_sweep, pack
    from .ponderv2_lidar_unet_synthetic import *

from ponderv2.engine import CheckedOptimWrapperConstructor, GroupOneCycleLR
from ponderv2.models import ImageFeaturePretrainer

model = dict(
    model,
    type=ImageFeaturePretrainer,
    image_branch=tiny_consensus,
    head=dict(model.head, objective=dict(model.head.objective, feature=4.0), feature=tiny_feature),
)

# Data: in training the pictures of the key frame before as well
train_dataloader = dict(
    train_dataloader,
    dataset=dict(
        train_dataloader.dataset,
        history=1,
        pipeline=[load_cameras, digest_images, load_sweep, train_rays, pack],
    ),
)
val_dataloader = dict(
    val_dataloader,
    dataset=dict(val_dataloader.dataset, pipeline=[load_cameras, digest_images, load_sweep, val_rays, pack]),
)
test_dataloader = val_dataloader

# Schedule: the same cycle, of which the student has a hundredth: it starts from trained weights
optim_wrapper = dict(
    optim_wrapper,
    constructor=CheckedOptimWrapperConstructor,
    paramwise_cfg=dict(custom_keys={"image_branch.student": dict(lr_mult=0.01)}),
)
param_scheduler = [
    dict(type=GroupOneCycleLR, eta_max=3e-3, total_steps=max_iters, pct_start=0.15, by_epoch=False),
]
custom_hooks = [*custom_hooks, fit_reduction, collapse_alarm]
