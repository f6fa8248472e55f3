"""LiDAR pre-training, tiny: overfits one nuScenes key frame on 2 CPU cores in a few minutes.

Not a recipe to transfer from, but the whole path at a size one can watch: one sweep with 80 % of its blocks
hidden (8 voxels: one cell of the volume), the sparse encoder and the dense backbone of the full recipe with few
channels, the published range in 144×144×8 cells. Targets are depth and, unlike in the published recipe, occupancy
along the same rays, with which it learns in half the steps. No image is opened: cameras are where rays start.
For the data and which rays are evaluated see `_base_/tiny_keyframe.py`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny_keyframe import *

from ponderv2.encoders import SECOND3D, SECOND3DFPN, HeightKeepingSparseEncoder, LidarEncoder
from ponderv2.heads import RenderHead
from ponderv2.models import RenderingPretrainer, SensorPreprocessor
from ponderv2.rendering import HierarchicalSampler

channels = 32
# With one frame a batch, running statistics of masked volumes do not fit whole ones: norms are by row or sample.
row_norm = dict(type="LN")
plane_norm = dict(type="IN2d", affine=True)
norm_cfg = dict(type="IN3d", affine=True)

model = dict(
    type=RenderingPretrainer,
    data_preprocessor=dict(type=SensorPreprocessor),
    masking=dict(point_ratio=0.8, point_block=8),
    encoder=dict(
        type=LidarEncoder,
        grid=dict(point_cloud_range=point_cloud_range, size=(144, 144, 8)),
        voxel_size=(0.09375, 0.09375, 0.125),
        # Numbers of order one; there is a single sweep, so no time lag.
        feature_scale=(1 / 54, 1 / 54, 1 / 5, 1 / 255),
        pts_middle_encoder=dict(
            type=HeightKeepingSparseEncoder,
            in_channels=4,
            stage_channels=(16, 32, 48, 64),
            blocks=1,
            channels=channels,
            norm_cfg=row_norm,
        ),
        pts_backbone=dict(
            type=SECOND3D,
            in_channels=channels,
            channels=(32, 48, 64),
            blocks=(1, 1, 1),
            norm_cfg=plane_norm,
        ),
        pts_neck=dict(type=SECOND3DFPN, in_channels=(32, 48, 64), channels=channels, norm_cfg=plane_norm),
        channels=channels,
    ),
    head=dict(
        type=RenderHead,
        in_channels=channels,
        render_channels=32,
        hidden_channels=32,
        objective=dict(preset="occupancy", color=0.0),
        norm_cfg=norm_cfg,
        sampler=dict(type=HierarchicalSampler, num_proposals=48, num_important=16),
    ),
)

load_cameras.update(decode=False)
train_rays.update(color=False)
heldout_rays.update(color=False)
train_dataloader.dataset.pipeline = [load_cameras, load_sweeps, quarter, train_rays, pack]
val_dataloader.dataset.pipeline = [load_cameras, load_sweeps, quarter, heldout_rays, pack]
test_dataloader = val_dataloader

max_iters = 400
train_cfg.update(max_iters=max_iters, val_interval=200)
param_scheduler[1].update(end=max_iters)
custom_hooks[0].update(interval=200)
