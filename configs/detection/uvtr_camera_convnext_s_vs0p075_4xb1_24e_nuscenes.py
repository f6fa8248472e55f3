"""Camera detection, UniPAD's final model: UVTR on ConvNeXt-small by splat, ±54 m, all training frames.

Hardware: 4 A100, one frame each (published setting: 4 GPUs), 168,768 iterations; time not measured yet.
Aims at: 47.4 NDS / 41.5 mAP on nuScenes val (published, UniPAD). Ten sweeps of LiDAR supervise the depths that are
lifted, in training alone. The head has denoising queries; its scores ignore the predicted overlap, as published.
Starts from `pretrain/ponderv2_camera_convnext_s_splat_vs0p075_4xb1_12e_nuscenes`; three convolutions are new.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes_detection_camera import *
    from .._base_.nuscenes_scoring import *
    from .._base_.runtime import *
    from .._base_.schedule_uvtr_camera_24e import *
    from .._base_.uvtr_heads import denoising_head
    from ..pretrain.ponderv2_camera_convnext_s_splat_vs0p075_4xb1_12e_nuscenes import model as pretraining

from ponderv2.models import SensorPreprocessor, VolumeDetector

encoder = pretraining.encoder
encoder.update(num_convs=3, depth_loss=dict(weight=1.0))
# All of it comes from pre-training.
encoder.img_backbone.weights = None
model = dict(
    type=VolumeDetector,
    data_preprocessor=dict(type=SensorPreprocessor),
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_camera_convnext_s_splat_vs0p075_4xb1_12e_nuscenes/encoder.safetensors",
        new=("convs",),
    ),
    encoder=encoder,
    head=denoising_head,
)
del pretraining
val_evaluator.sensors = ("camera",)
test_evaluator = val_evaluator
