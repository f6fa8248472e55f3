"""Camera pre-training, tiny, on synthetic street scenes: minutes on 2 CPU cores; what `make demo` runs.

The tiny key-frame model with coarser cells (1 m), on many frames instead of one. Colours are compared as published,
and occupancy from LiDAR is a loss as well.

`--data-root` is a folder that tools/make_synthetic_nuscenes.py and tools/create_data.py have filled, with images of
400×225. Evaluated are frames of scenes that were never trained on, in the published choice of rays and with nothing
hidden.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes import load_cameras, load_sweep, pack
    from .._base_.runtime import *
    from .._base_.tiny import synthetic_dataset, tiny_camera_encoder, tiny_camera_render_head, tiny_eval_loader
    from .._base_.tiny import tiny_rays, tiny_train_loader, two_checkpoints

from mmengine.optim import OneCycleLR
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

from ponderv2.engine import EncoderExportHook, PrecisionOptimWrapper, RenderPreviewHook
from ponderv2.evaluation import RenderMetric
from ponderv2.models import RenderingPretrainer, SensorPreprocessor

model = dict(
    type=RenderingPretrainer,
    data_preprocessor=dict(type=SensorPreprocessor, pad_divisor=32),
    masking=dict(image_ratio=0.3, image_block=16),
    encoder=tiny_camera_encoder,
    head=tiny_camera_render_head,
)

# Data
train_rays = dict(tiny_rays, rays_per_camera=128, split="train", lidar_share=0.75, sky_region=0.0)
val_rays = dict(tiny_rays, rays_per_camera=512, split="all", seed=0)
train_dataloader = dict(
    tiny_train_loader,
    dataset=dict(
        synthetic_dataset, ann_file="nuscenes_infos_train.pkl", pipeline=[load_cameras, load_sweep, train_rays, pack]
    ),
)
val_dataloader = dict(
    tiny_eval_loader,
    dataset=dict(
        synthetic_dataset,
        ann_file="nuscenes_infos_val.pkl",
        test_mode=True,
        pipeline=[load_cameras, load_sweep, val_rays, pack],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator

# Schedule: one cycle. The rate is `eta_max`, which takes the place of `lr`; a longer run needs `total_steps` too.
max_iters = 360
optim_wrapper = dict(
    type=PrecisionOptimWrapper,
    # bfloat16 where the device is fast in it; "float32" for the same on every CPU.
    precision="auto",
    # Gradients shrink tenfold in the first hundred steps; at the usual 0.999 their early size would slow the rest.
    optimizer=dict(type=AdamW, lr=3e-3, betas=(0.9, 0.99), weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [dict(type=OneCycleLR, eta_max=3e-3, total_steps=max_iters, pct_start=0.15, by_epoch=False)]
train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=max_iters)
log_processor = dict(log_processor, by_epoch=False)
default_hooks = dict(default_hooks, **two_checkpoints)
custom_hooks = [dict(type=RenderPreviewHook, interval=max_iters, stride=4), dict(type=EncoderExportHook)]
