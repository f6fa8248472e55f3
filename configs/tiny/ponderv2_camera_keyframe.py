"""Camera pre-training, tiny: overfits one nuScenes key frame on 2 CPU cores in about 14 minutes.

Not a recipe to transfer from, but the whole path at a size one can watch: quarter-size images with 30 % of
their blocks hidden (16 pixels: a cell of the coarsest map, as 32 is at full size), the published range in
144×144×8 cells. What differs from the published rendering is what learns more in few steps: VolSDF's opacity
in place of NeuS', and squared differences of colours, which are what PSNR measures (`docs/benchmarks.md`). For the
data and which rays are evaluated see `_base_/tiny_keyframe.py`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny_keyframe import *

from mmdet.models.necks import FPN

from ponderv2.encoders import CameraEncoder, PonderConvNeXt, SimpleDepth
from ponderv2.heads import RenderHead
from ponderv2.lifting import PullLift
from ponderv2.models import RenderingPretrainer, SensorPreprocessor
from ponderv2.rendering import HierarchicalSampler, VolSDFOpacity

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
        opacity=dict(type=VolSDFOpacity),
        objective=dict(color_mode="l2", color=60.0),
    ),
)

# A quarter of the rays train colour alone, up to the sky, so that whole images can be drawn.
train_rays.update(lidar_share=0.75, sky_region=0.0)
train_dataloader.dataset.pipeline = [load_cameras, load_sweeps, quarter, train_rays, pack]

max_iters = 560
train_cfg.update(max_iters=max_iters, val_interval=280)
param_scheduler[1].update(end=max_iters)
custom_hooks[0].update(interval=280)
