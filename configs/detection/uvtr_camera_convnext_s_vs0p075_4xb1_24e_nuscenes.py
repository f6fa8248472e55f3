"""Camera detection, UniPAD's final model: UVTR on ConvNeXt-small by splat, ±54 m, all training frames.

Hardware: 4 A100, one frame each (published setting: 4 GPUs), 168,792 iterations; time not measured yet.
Aims at: 47.4 NDS / 41.5 mAP on nuScenes val (published, UniPAD). Ten sweeps of LiDAR supervise the depths that are
lifted, in training alone. The head has denoising queries; its scores ignore the predicted overlap, as published.
Starts from `pretrain/ponderv2_camera_convnext_s_splat_vs0p075_4xb1_12e_nuscenes`; three convolutions are new.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.encoders import camera_splat_54m_finetuned, imagenet_weights
    from .._base_.nuscenes import boxes_dataset, eval_loader, grid_mask, in_range, load_boxes, load_cameras
    from .._base_.nuscenes import load_sweeps, pack, photometric, train_loader, turn
    from .._base_.runtime import *
    from .._base_.uvtr_heads import denoising_head

from mmengine.optim import CosineAnnealingLR, LinearLR
from mmengine.runner import EpochBasedTrainLoop
from torch.optim import AdamW

from ponderv2.engine import CheckedOptimWrapperConstructor, PrecisionOptimWrapper
from ponderv2.evaluation import PonderNuScenesMetric
from ponderv2.models import SensorPreprocessor, VolumeDetector

model = dict(
    type=VolumeDetector,
    data_preprocessor=dict(type=SensorPreprocessor),
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_camera_convnext_s_splat_vs0p075_4xb1_12e_nuscenes/encoder.safetensors",
        new=("convs",),
    ),
    encoder=camera_splat_54m_finetuned,
    head=denoising_head,
)
# The baseline, `--scratch`: ImageNet weights of the backbone alone; no published row.
scratch = {"model.init_cfg": None, "model.encoder.img_backbone.weights": imagenet_weights}

# Data
train_dataloader = dict(
    train_loader,
    batch_size=1,
    dataset=dict(
        boxes_dataset,
        ann_file="nuscenes_infos_train.pkl",
        pipeline=[load_cameras, load_sweeps, load_boxes, photometric, turn, in_range, grid_mask, pack],
    ),
)
val_dataloader = dict(
    eval_loader,
    dataset=dict(boxes_dataset, ann_file="nuscenes_infos_val.pkl", test_mode=True, pipeline=[load_cameras, pack]),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type=PonderNuScenesMetric,
    data_root="data/nuscenes",
    ann_file="nuscenes_infos_val.pkl",
    sensors=("camera",),
)
test_evaluator = val_evaluator

# Schedule, for 4 GPUs with a frame each
max_epochs = 24
optim_wrapper = dict(
    type=PrecisionOptimWrapper,
    precision="auto",  # bfloat16 where the device is fast in it, as an A100 is; published: float16
    constructor=CheckedOptimWrapperConstructor,
    optimizer=dict(type=AdamW, lr=2e-4, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={"encoder.img_backbone": dict(lr_mult=0.1)}),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=1 / 3, by_epoch=False, begin=0, end=500),
    # A step an epoch, as published: the last epoch has 0.5 % of the rate.
    dict(type=CosineAnnealingLR, eta_min_ratio=1e-3, begin=0, end=max_epochs, by_epoch=True),
]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=max_epochs, val_interval=4)
auto_scale_lr = dict(enable=False, base_batch_size=4)
default_hooks = dict(default_hooks, **with_best)
