"""Camera detection, UniPAD's ablation: UVTR on ConvNeXt-small, ±51.2 m, half of the training frames.

Hardware: 4 A100, one frame each (published setting: 4 GPUs), 42,192 iterations; time not measured yet.
Aims at: 32.9 NDS / 32.6 mAP on nuScenes val (published, UniPAD); from ImageNet alone
25.2 / 23.0 (derived from the paper).
Starts from `pretrain/ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes`; three convolutions after the lift are new.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes_detection_camera import *
    from .._base_.nuscenes_scoring import *
    from .._base_.runtime import *
    from .._base_.schedule_camera_12e import *
    from .._base_.uvtr_heads import plain_head
    from ..pretrain.ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes import model as pretraining

from ponderv2.models import SensorPreprocessor, VolumeDetector

encoder = pretraining.encoder
encoder.num_convs = 3
# All of it comes from pre-training.
encoder.img_backbone.weights = None
model = dict(
    type=VolumeDetector,
    data_preprocessor=dict(type=SensorPreprocessor),
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes/encoder.safetensors", new=("convs",)
    ),
    encoder=encoder,
    head=plain_head,
)
del pretraining

for step in without_points:
    if "point_cloud_range" in step:
        step.update(point_cloud_range=encoder.grid.point_cloud_range)
del step
train_dataloader.dataset.update(load_interval=2, pipeline=without_points)
val_evaluator.sensors = ("camera",)
test_evaluator = val_evaluator
