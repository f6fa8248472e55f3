"""Camera detection, tiny, on synthetic street scenes: BEVFormer with history, two earlier key frames in training.

Minutes on 2 CPU cores, at most three times those of `bevformer_camera_synthetic`, whose model, data and schedule these
are but for the attention to the frame before. In evaluation frames come in the order of time, and the plane of the last
one is kept. The image backbone starts from `ponderv2_camera_bevformer_synthetic`, which has no history; that of
`ponderv2_camera_bevformer_temporal_synthetic` fits as well, by `model.init_cfg.checkpoint`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny import tiny_bevformer_detector, tiny_bevformer_head
    from .uvtr_camera_synthetic import *

from ponderv2.engine import SceneSampler
from ponderv2.models import TemporalDetector

model = dict(
    model,
    type=TemporalDetector,
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_camera_bevformer_synthetic/encoder.safetensors", parts=("img_backbone",)
    ),
    encoder=dict(tiny_bevformer_detector, lift=dict(tiny_bevformer_detector.lift, history=True)),
    head=tiny_bevformer_head,
)

# Data
train_dataloader = dict(train_dataloader, dataset=dict(train_dataloader.dataset, history=2, draw_history=True))
val_dataloader = dict(val_dataloader, sampler=dict(type=SceneSampler))
test_dataloader = val_dataloader
