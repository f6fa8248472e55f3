"""Camera detection: BEVFormer-base without history, 200×200 pillars, ResNet-101, images at full size.

Hardware: 8 A100, one frame each (published setting: 8 GPUs), 84,408 iterations; neither memory nor time measured yet.
Aims at: 44.8 NDS / 37.5 mAP on nuScenes val (published as BEVFormer-S, ResNet-101 with deformable convolutions from
FCOS3D; no config of it was released, and users got 39.2 / 30.6, BEVFormer#53). With history, published: 51.7 / 41.6.
Starts from backbone and neck of `pretrain/ponderv2_camera_r101_bevformer_vs0p1_4xb1_12e_nuscenes`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.bevformer import bevformer_base, bevformer_head, imagenet_resnet101, range_51m
    from .._base_.nuscenes import boxes_dataset, eval_loader, grid_mask, in_range, load_boxes, load_cameras, pack
    from .._base_.nuscenes import photometric, train_loader
    from .._base_.runtime import *

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
        checkpoint="work_dirs/ponderv2_camera_r101_bevformer_vs0p1_4xb1_12e_nuscenes/encoder.safetensors",
        parts=("img_backbone", "img_neck"),
    ),
    encoder=bevformer_base,
    head=bevformer_head,
)
# The baseline, `--scratch`: ImageNet weights of the backbone alone, as those of the pre-training.
scratch = {"model.init_cfg": None, "model.encoder.img_backbone.weights": imagenet_resnet101}

# Data
in_51m = dict(in_range, point_cloud_range=range_51m)
train_dataset = dict(
    boxes_dataset,
    ann_file="nuscenes_infos_train.pkl",
    pipeline=[load_cameras, load_boxes, photometric, in_51m, grid_mask, pack],
)
train_dataloader = dict(train_loader, batch_size=1, dataset=train_dataset)
val_dataset = dict(boxes_dataset, ann_file="nuscenes_infos_val.pkl", test_mode=True, pipeline=[load_cameras, pack])
val_dataloader = dict(eval_loader, dataset=val_dataset)
test_dataloader = val_dataloader
val_evaluator = dict(
    type=PonderNuScenesMetric,
    data_root="data/nuscenes",
    ann_file="nuscenes_infos_val.pkl",
    sensors=("camera",),
)
test_evaluator = val_evaluator

# Schedule, for 8 GPUs with a frame each
max_epochs = 24
optim_wrapper = dict(
    type=PrecisionOptimWrapper,
    precision="auto",  # bfloat16 where the device is fast in it, as an A100 is; lift and head stay in float32
    constructor=CheckedOptimWrapperConstructor,
    optimizer=dict(type=AdamW, lr=2e-4, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={"encoder.img_backbone": dict(lr_mult=0.1)}),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=1 / 3, by_epoch=False, begin=0, end=500),
    dict(type=CosineAnnealingLR, eta_min_ratio=1e-3, begin=0, end=max_epochs, by_epoch=True),
]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=max_epochs, val_interval=4)
auto_scale_lr = dict(enable=False, base_batch_size=8)
default_hooks = dict(default_hooks, **with_best)
