"""Camera pre-training, tiny: overfits one nuScenes key frame on 2 CPU cores in about 14 minutes.

Not a recipe to transfer from, but the whole path at a size one can watch: quarter-size images with 30 % of
their blocks hidden (16 pixels: a cell of the coarsest map, as 32 is at full size), the published range in
144×144×8 cells, NeuS rendering. `--data-root` is a folder with `nuscenes_infos_keyframe.pkl` and
`samples/`. Rays in a tenth of the image tiles are never trained on; they are what is evaluated, in the
published choice of rays and with nothing hidden.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.runtime import *

from mmdet.models.necks import FPN
from mmengine.dataset import DefaultSampler, InfiniteSampler, pseudo_collate
from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

from ponderv2.datasets import (
    LoadCameras,
    LoadLidarSweeps,
    MultiViewResizeCropFlipRotate,
    PackSensorInputs,
    PonderNuScenesDataset,
    SampleRays,
)
from ponderv2.encoders import CameraEncoder, PonderConvNeXt, SimpleDepth
from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.evaluation import RenderMetric
from ponderv2.heads import RenderHead
from ponderv2.lifting import PullLift
from ponderv2.models import RenderingPretrainer, SensorPreprocessor
from ponderv2.rendering import HierarchicalSampler

max_iters = 740
point_cloud_range = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
channels = 32
# With one frame a batch, running statistics of masked volumes do not fit whole ones: norms are by sample.
norm_cfg = dict(type="IN3d", affine=True)

model = dict(
    type=RenderingPretrainer,
    data_preprocessor=dict(type=SensorPreprocessor, pad_divisor=32),
    masking=dict(image_ratio=0.3, image_block=16),
    encoder=dict(
        type=CameraEncoder,
        grid=dict(point_cloud_range=point_cloud_range, size=(144, 144, 8)),
        img_backbone=dict(
            type=PonderConvNeXt,
            depths=(1, 1, 2),
            channels=(32, 64, 128),
            out_indices=(0, 2),
            drop_path_rate=0.0,
            layer_scale=0.1,
            frozen_stages=-1,
        ),
        img_neck=dict(type=FPN, in_channels=[32, 128], out_channels=channels, num_outs=2),
        neck_strides=(4, 16),
        depth_net=dict(type=SimpleDepth, in_channels=channels, num_bins=64),
        lift=dict(type=PullLift, depth_range=(0.0, 64.0)),
        channels=channels,
        num_convs=1,
        norm_cfg=norm_cfg,
    ),
    head=dict(
        type=RenderHead,
        in_channels=channels,
        render_channels=32,
        hidden_channels=32,
        norm_cfg=norm_cfg,
        sampler=dict(type=HierarchicalSampler, num_proposals=48, num_important=16),
    ),
)

load = [
    dict(type=LoadCameras),
    dict(type=LoadLidarSweeps),
    dict(type=MultiViewResizeCropFlipRotate, resize=(0.25, 0.25)),
]
rays = dict(type=SampleRays, point_cloud_range=point_cloud_range, radius=(3.0, 54.0), holdout=0.1, tile=16)
dataset = dict(type=PonderNuScenesDataset, data_root="data/nuscenes", ann_file="nuscenes_infos_keyframe.pkl")

train_rays = rays | dict(rays_per_camera=144, lidar_share=0.5, sky_region=0.0, split="train")
heldout_rays = rays | dict(rays_per_camera=512, split="heldout", seed=0)
pack = dict(type=PackSensorInputs)
loading = dict(batch_size=1, collate_fn=dict(type=pseudo_collate))

train_dataloader = dict(
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type=InfiniteSampler, shuffle=True),
    dataset=dataset | dict(pipeline=[*load, train_rays, pack]),
    **loading,
)
val_dataloader = dict(
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dataset | dict(test_mode=True, pipeline=[*load, heldout_rays, pack]),
    **loading,
)
test_dataloader = val_dataloader
val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator

train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=370)
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
default_hooks.update(checkpoint=dict(type=CheckpointHook, by_epoch=False, interval=100, max_keep_ckpts=2))
log_processor.update(by_epoch=False)
custom_hooks = [dict(type=RenderPreviewHook, interval=370, stride=4), dict(type=EncoderExportHook)]
