"""Camera detection, tiny, on synthetic street scenes: CenterPoint's head on BEVFormer's pillars, with history.

Minutes on 2 CPU cores, at most twice those of `bevformer_center_camera_synthetic`, whose temporal twin it is. The frame
before is half a second earlier in training and in evaluation, so that a displacement says a velocity; published draws
the gap, and keeps the last plane in evaluation, as `bevformer_temporal_camera_synthetic` does.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny import tiny_bevformer_center_head, tiny_bevformer_detector
    from .uvtr_camera_synthetic import *

from ponderv2.models import TemporalDetector

model = dict(
    model,
    type=TemporalDetector,
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_camera_bevformer_synthetic/encoder.safetensors", parts=("img_backbone",)
    ),
    encoder=dict(tiny_bevformer_detector, lift=dict(tiny_bevformer_detector.lift, history=True)),
    head=tiny_bevformer_center_head,
)

# Data
train_dataloader = dict(train_dataloader, dataset=dict(train_dataloader.dataset, history=1))
val_dataloader = dict(val_dataloader, dataset=dict(val_dataloader.dataset, history=1))
test_dataloader = val_dataloader
