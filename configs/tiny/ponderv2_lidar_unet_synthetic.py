"""LiDAR pre-training for segmentation, tiny, on synthetic street scenes: a sparse U-Net that keeps a feature a voxel.

A quarter of an hour on a CPU core. As `ponderv2_lidar_synthetic`, of which it is the like with another encoder: held
out is the whole validation split. The intensities of returns are rendered as well, which gives features that tell more
classes apart; half of the sweep is hidden, and the published 80 % does as well (docs/benchmarks.md).
`lidarseg_unet_synthetic` starts from its encoder.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes import load_calibration, load_sweep, pack
    from .._base_.runtime import *
    from .._base_.segmentation import tiny_voxel_encoder
    from .._base_.tiny import synthetic_dataset, tiny_eval_loader, tiny_lidar_render_head
    from .._base_.tiny import tiny_rays, tiny_train_loader, two_checkpoints

from mmengine.optim import OneCycleLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.evaluation import RenderMetric
from ponderv2.models import RenderingPretrainer, SensorPreprocessor

model = dict(
    type=RenderingPretrainer,
    data_preprocessor=dict(type=SensorPreprocessor),
    masking=dict(point_ratio=0.5, point_block=8),
    encoder=tiny_voxel_encoder,
    head=dict(tiny_lidar_render_head, objective=dict(preset="occupancy", color=0.0, intensity=20.0)),
)

# Data: no image is opened.
return_rays = dict(tiny_rays, color=False, intensity=True)
train_rays = dict(return_rays, rays_per_camera=128, split="train")
val_rays = dict(return_rays, rays_per_camera=512, split="all", seed=0)
train_dataloader = dict(
    tiny_train_loader,
    dataset=dict(
        synthetic_dataset,
        ann_file="nuscenes_infos_train.pkl",
        pipeline=[load_calibration, load_sweep, train_rays, pack],
    ),
)
val_dataloader = dict(
    tiny_eval_loader,
    dataset=dict(
        synthetic_dataset,
        ann_file="nuscenes_infos_val.pkl",
        test_mode=True,
        pipeline=[load_calibration, load_sweep, val_rays, pack],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator

# Schedule: one cycle. The rate is `eta_max`, which takes the place of `lr`; a longer run needs `total_steps` too.
max_iters = 1500
optim_wrapper = dict(
    type=OptimWrapper,
    # Gradients shrink tenfold in the first hundred steps; at the usual 0.999 their early size would slow the rest.
    optimizer=dict(type=AdamW, lr=3e-3, betas=(0.9, 0.99), weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [dict(type=OneCycleLR, eta_max=3e-3, total_steps=max_iters, pct_start=0.15, by_epoch=False)]
train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=max_iters)
log_processor = dict(log_processor, by_epoch=False)
default_hooks = dict(default_hooks, **two_checkpoints)
custom_hooks = [dict(type=RenderPreviewHook, interval=max_iters, stride=4), dict(type=EncoderExportHook)]
