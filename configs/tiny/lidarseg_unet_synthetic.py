"""LiDAR segmentation, tiny, on synthetic street scenes: a sparse U-Net.

Minutes on 2 CPU cores. The encoder is that of `ponderv2_lidar_unet_synthetic`, key by key; `--scratch` trains the
baseline. A test writes a submission beside the scores, checked and scored by the official devkit.

`--data-root` is a folder that tools/make_synthetic_nuscenes.py and tools/create_data.py have filled. Scored are all
points of the scenes of its validation split, none of which is trained on.

Loss: cross entropy and Lovász.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes import load_sweep, pack, turn_and_flip
    from .._base_.runtime import *
    from .._base_.segmentation import load_labels, load_labels_to_score, synthetic_labels_dataset
    from .._base_.segmentation import running_score, tiny_segmentation_head, tiny_voxel_encoder
    from .._base_.tiny import one_checkpoint, tiny_eval_loader, tiny_train_loader
    from .._base_.tta_segmentation import tta_model, tta_passes

from mmengine.optim import OneCycleLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

from ponderv2.engine import CheckedOptimWrapperConstructor
from ponderv2.evaluation import LidarSegMetric
from ponderv2.models import LidarSegmentor, SensorPreprocessor

model = dict(
    type=LidarSegmentor,
    data_preprocessor=dict(type=SensorPreprocessor),
    init_cfg=dict(checkpoint="work_dirs/ponderv2_lidar_unet_synthetic/encoder.safetensors"),
    encoder=tiny_voxel_encoder,
    head=tiny_segmentation_head,
)
scratch = {"model.init_cfg": None}

# Data
train_dataloader = dict(
    tiny_train_loader,
    dataset=dict(
        synthetic_labels_dataset,
        ann_file="nuscenes_infos_train.pkl",
        pipeline=[load_sweep, load_labels, turn_and_flip, pack],
    ),
)
val_dataloader = dict(
    tiny_eval_loader,
    dataset=dict(
        synthetic_labels_dataset,
        ann_file="nuscenes_infos_val.pkl",
        test_mode=True,
        pipeline=[load_sweep, load_labels_to_score, pack],
    ),
)
test_dataloader = val_dataloader
tta_pipeline = [load_sweep, load_labels_to_score, *tta_passes]
val_evaluator = running_score
test_evaluator = dict(
    type=LidarSegMetric,
    data_root="data/synthetic",
    ann_file="nuscenes_infos_val.pkl",
    submission_dir="work_dirs/lidarseg_unet_synthetic/submission",
)

# Schedule: one cycle. The rate is `eta_max`, which takes the place of `lr`; a longer run needs `total_steps` too.
max_iters = 600
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=CheckedOptimWrapperConstructor,
    optimizer=dict(type=AdamW, lr=4e-3, betas=(0.9, 0.99), weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [dict(type=OneCycleLR, eta_max=4e-3, total_steps=max_iters, pct_start=0.15, by_epoch=False)]
train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=max_iters)
log_processor = dict(log_processor, by_epoch=False)
default_hooks = dict(default_hooks, **one_checkpoint)
