"""LiDAR pre-training with rendered classes, tiny, on synthetic street scenes.

Minutes on 2 CPU cores. As `ponderv2_lidar_unet_synthetic`, on the same schedule, and labels beside depth: all frames
are rendered for depth, and a tenth of them, those that a segmentor with `fraction=0.1` is trained on, has labels too.
The exported encoder is, key by key, that of the recipe without.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes import load_calibration, load_sweep, pack
    from .._base_.segmentation import load_labels, synthetic_labels_dataset
    from .._base_.tiny import tiny_eval_loader, tiny_lidar_render_head, tiny_train_loader
    from .ponderv2_lidar_unet_synthetic import *

from ponderv2.datasets import LIDARSEG_CLASSES

model = dict(
    model,
    head=dict(
        tiny_lidar_render_head,
        objective=dict(preset="occupancy", color=0.0, intensity=20.0, semantic=0.1),
        semantic=dict(classes=LIDARSEG_CLASSES),
    ),
)

# Data
train_dataloader = dict(
    tiny_train_loader,
    dataset=dict(
        synthetic_labels_dataset,
        ann_file="nuscenes_infos_train.pkl",
        fraction=0.1,
        keep_unlabeled=True,
        pipeline=[load_calibration, load_sweep, load_labels, dict(train_rays, semantic=True), pack],
    ),
)
val_dataloader = dict(
    tiny_eval_loader,
    dataset=dict(
        synthetic_labels_dataset,
        ann_file="nuscenes_infos_val.pkl",
        test_mode=True,
        pipeline=[load_calibration, load_sweep, load_labels, dict(val_rays, semantic=True), pack],
    ),
)
test_dataloader = val_dataloader
