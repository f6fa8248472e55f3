"""Camera detection, tiny, on synthetic street scenes: CenterPoint's head on the encoder of `ponderv2_camera_synthetic`.

Minutes on 2 CPU cores. Images alone are read.
The encoder is that of pre-training, key by key; `--scratch` trains the baseline.

`--data-root` is a folder that tools/make_synthetic_nuscenes.py and tools/create_data.py have filled, with images of
400×225. Scored are the scenes of its validation split, none of which is trained on. No rotation or flip is published
for so little data; mild ones are drawn for all sensors alike.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes import in_range, load_boxes, load_cameras, pack, turn
    from .._base_.runtime import *
    from .._base_.tiny import one_checkpoint, synthetic_boxes_dataset, tiny_camera_encoder
    from .._base_.tiny import tiny_center_head, tiny_eval_loader, tiny_train_loader

from mmengine.optim import OneCycleLR
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

from ponderv2.engine import CheckedOptimWrapperConstructor, PrecisionOptimWrapper
from ponderv2.evaluation import PonderNuScenesMetric
from ponderv2.models import SensorPreprocessor, VolumeDetector

model = dict(
    type=VolumeDetector,
    data_preprocessor=dict(type=SensorPreprocessor),
    init_cfg=dict(checkpoint="work_dirs/ponderv2_camera_synthetic/encoder.safetensors"),
    encoder=tiny_camera_encoder,
    head=tiny_center_head,
)
scratch = {"model.init_cfg": None}

# Data
train_dataloader = dict(
    tiny_train_loader,
    dataset=dict(
        synthetic_boxes_dataset,
        ann_file="nuscenes_infos_train.pkl",
        pipeline=[load_cameras, load_boxes, turn, in_range, pack],
    ),
)
val_dataloader = dict(
    tiny_eval_loader,
    dataset=dict(
        synthetic_boxes_dataset, ann_file="nuscenes_infos_val.pkl", test_mode=True, pipeline=[load_cameras, pack]
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type=PonderNuScenesMetric,
    data_root="data/synthetic",
    ann_file="nuscenes_infos_val.pkl",
    sensors=("camera",),
)
test_evaluator = val_evaluator

# Schedule: one cycle. The rate is `eta_max`, which takes the place of `lr`; a longer run needs `total_steps` too.
max_iters = 1500
optim_wrapper = dict(
    type=PrecisionOptimWrapper,
    # bfloat16 where the device is fast in it; "float32" for the same on every CPU.
    precision="auto",
    constructor=CheckedOptimWrapperConstructor,
    optimizer=dict(type=AdamW, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [dict(type=OneCycleLR, eta_max=1e-3, total_steps=max_iters, pct_start=0.15, by_epoch=False)]
train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=max_iters)
log_processor = dict(log_processor, by_epoch=False)
default_hooks = dict(default_hooks, **one_checkpoint)
