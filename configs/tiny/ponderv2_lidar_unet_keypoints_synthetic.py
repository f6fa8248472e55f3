"""LiDAR pre-training with rendered features and key points, tiny, on synthetic street scenes.

Half an hour on a CPU core. As `ponderv2_lidar_unet_distil_synthetic`, on the same schedule, with key points of the
volume and of the pictures that are to be found again in the key frame before; they give the encoder no gradient. The
teacher is the street teacher, a stand-in that was trained on labels of other synthetic towns.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.image_features import digest_images, fit_reduction, tiny_distil, tiny_feature, tiny_keypoints
    from .._base_.nuscenes import load_cameras, load_sweep, pack
    from .ponderv2_lidar_unet_synthetic import *

from ponderv2.models import ImageFeaturePretrainer

model = dict(
    model,
    type=ImageFeaturePretrainer,
    image_branch=tiny_distil,
    keypoints=tiny_keypoints,
    head=dict(model.head, objective=dict(model.head.objective, feature=4.0), feature=tiny_feature),
)

# Data: in training the sensors of the key frame before as well
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
custom_hooks = [*custom_hooks, fit_reduction]
