"""LiDAR pre-training for segmentation with rendered classes, PonderV2's outdoor `-semantic`: labels beside depth.

Hardware: as `ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes`, of which it is the like; time not measured yet.
Aims at: no published row; PonderV2 published the recipe without a score of its own.
Published: weight 0.1, all labels of nuScenes-lidarseg, so the pre-training is supervised; `fraction=0.1` with
`keep_unlabeled=True` leaves labels to a tenth of the frames. Where the published code differs, on purpose: it compares
with CLIP's text embeddings of the classes, which `model.head.semantic.text_model=FOLDER` does, and this learns the
logits; it sets each ray against the other rays of the batch, and this against the classes.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes import load_calibration, load_sweep, pack, train_loader, eval_loader, turn_and_flip
    from .._base_.segmentation import labels_dataset, load_labels
    from .ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes import *

from ponderv2.datasets import LIDARSEG_CLASSES
from ponderv2.heads import RenderHead
from ponderv2.rendering import HierarchicalSampler

model = dict(
    model,
    head=dict(
        type=RenderHead,
        in_channels=96,
        hidden_channels=16,
        objective=dict(color=0.0, semantic=0.1),
        semantic=dict(classes=LIDARSEG_CLASSES),
        sampler=dict(type=HierarchicalSampler, single_jitter=False),
    ),
)

# Data
semantic_rays = dict(depth_rays, semantic=True)
train_dataloader = dict(
    train_loader,
    batch_size=4,
    dataset=dict(
        labels_dataset,
        ann_file="nuscenes_infos_train.pkl",
        pipeline=[load_calibration, load_sweep, load_labels, turn_and_flip, semantic_rays, pack],
    ),
)
val_dataset = dict(
    labels_dataset,
    ann_file="nuscenes_infos_val.pkl",
    test_mode=True,
    pipeline=[load_calibration, load_sweep, load_labels, dict(semantic_rays, split="all", seed=0), pack],
)
val_dataloader = dict(eval_loader, dataset=dict(val_dataset, load_interval=20))
test_dataloader = dict(eval_loader, dataset=val_dataset)
