"""LiDAR pre-training, tiny: overfits one nuScenes key frame on 2 CPU cores in about 12 minutes.

Not a recipe to transfer from, but the whole path at a size one can watch: one sweep with 80 % of its blocks
hidden (8 voxels: one cell of the volume), the sparse encoder and the dense backbone of the full recipe with few
channels, the published range in 144×144×8 cells. Targets are depth and, unlike in the published recipe, occupancy
along the same rays, with which it learns in half the steps. No image is opened: cameras are where rays start.

`--data-root` is a folder with `nuscenes_infos_keyframe.pkl` and `samples/`. Rays in a tenth of the image tiles are
never trained on; they are what is evaluated, in the published choice of rays and with nothing hidden.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes import load_calibration, load_sweep, pack
    from .._base_.runtime import *
    from .._base_.tiny import fine_grid, keyframe_dataset, tiny_eval_loader, tiny_lidar_encoder
    from .._base_.tiny import tiny_lidar_render_head, tiny_rays, tiny_train_loader, two_checkpoints

from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

from ponderv2.datasets import MultiViewResizeCropFlipRotate
from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.evaluation import RenderMetric
from ponderv2.models import RenderingPretrainer, SensorPreprocessor
from ponderv2.rendering import HierarchicalSampler

model = dict(
    type=RenderingPretrainer,
    data_preprocessor=dict(type=SensorPreprocessor),
    masking=dict(point_ratio=0.8, point_block=8),
    encoder=dict(tiny_lidar_encoder, grid=fine_grid, voxel_size=(0.09375, 0.09375, 0.125)),
    head=dict(tiny_lidar_render_head, sampler=dict(type=HierarchicalSampler, num_proposals=48, num_important=16)),
)

# Data
quarter = dict(type=MultiViewResizeCropFlipRotate, resize=(0.25, 0.25))
rays = dict(tiny_rays, holdout=dict(share=0.1, tile=16), color=False)
train_rays = dict(rays, rays_per_camera=144, split="train")
heldout_rays = dict(rays, rays_per_camera=512, split="heldout", seed=0)
train_dataloader = dict(
    tiny_train_loader,
    dataset=dict(keyframe_dataset, pipeline=[load_calibration, load_sweep, quarter, train_rays, pack]),
)
val_dataloader = dict(
    tiny_eval_loader,
    dataset=dict(
        keyframe_dataset, test_mode=True, pipeline=[load_calibration, load_sweep, quarter, heldout_rays, pack]
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator

# Schedule
max_iters = 400
optim_wrapper = dict(
    type=OptimWrapper,
    # Gradients shrink tenfold in the first hundred steps; at the usual 0.999 their early size would slow the rest.
    optimizer=dict(type=AdamW, lr=3e-3, betas=(0.9, 0.99), weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type=CosineAnnealingLR, eta_min=1e-5, by_epoch=False, begin=50, end=max_iters),
]
train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=200)
log_processor = dict(log_processor, by_epoch=False)
default_hooks = dict(default_hooks, **two_checkpoints)
custom_hooks = [dict(type=RenderPreviewHook, interval=200, stride=4), dict(type=EncoderExportHook)]
