"""Camera pre-training, tiny: overfits one nuScenes key frame on 2 CPU cores in about 14 minutes.

Not a recipe to transfer from, but the whole path at a size one can watch: quarter-size images with 30 % of
their blocks hidden (16 pixels: a cell of the coarsest map, as 32 is at full size), the published range in
144×144×8 cells. What differs from the published rendering is what learns more in few steps: VolSDF's opacity
in place of NeuS', and squared differences of colours, which are what PSNR measures (`docs/benchmarks.md`).

`--data-root` is a folder with `nuscenes_infos_keyframe.pkl` and `samples/`. Rays in a tenth of the image tiles are
never trained on; they are what is evaluated, in the published choice of rays and with nothing hidden.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes import load_cameras, load_sweep, pack
    from .._base_.runtime import *
    from .._base_.tiny import fine_grid, keyframe_dataset, tiny_camera_encoder, tiny_camera_render_head
    from .._base_.tiny import tiny_eval_loader, tiny_rays, tiny_train_loader, two_checkpoints

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
    data_preprocessor=dict(type=SensorPreprocessor, pad_divisor=32),
    masking=dict(image_ratio=0.3, image_block=16),
    encoder=dict(tiny_camera_encoder, grid=fine_grid),
    head=dict(
        tiny_camera_render_head,
        sampler=dict(type=HierarchicalSampler, num_proposals=48, num_important=16),
        objective=dict(color_mode="l2", color=60.0),
    ),
)

# Data. A quarter of the rays train colour alone, up to the sky, so that whole images can be drawn.
quarter = dict(type=MultiViewResizeCropFlipRotate, resize=(0.25, 0.25))
rays = dict(tiny_rays, holdout=dict(share=0.1, tile=16))
train_rays = dict(rays, rays_per_camera=144, split="train", lidar_share=0.75, sky_region=0.0)
heldout_rays = dict(rays, rays_per_camera=512, split="heldout", seed=0)
train_dataloader = dict(
    tiny_train_loader, dataset=dict(keyframe_dataset, pipeline=[load_cameras, load_sweep, quarter, train_rays, pack])
)
val_dataloader = dict(
    tiny_eval_loader,
    dataset=dict(keyframe_dataset, test_mode=True, pipeline=[load_cameras, load_sweep, quarter, heldout_rays, pack]),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator

# Schedule
max_iters = 560
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
train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=280)
log_processor = dict(log_processor, by_epoch=False)
default_hooks = dict(default_hooks, **two_checkpoints)
custom_hooks = [dict(type=RenderPreviewHook, interval=280, stride=4), dict(type=EncoderExportHook)]
