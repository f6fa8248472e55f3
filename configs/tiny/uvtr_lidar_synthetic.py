"""LiDAR detection, tiny, on synthetic street scenes: UVTR on the encoder of `ponderv2_lidar_synthetic`.

Minutes on 2 CPU cores; see `uvtr_camera_synthetic`. One sweep, no image is opened.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny_detection import *
    from .ponderv2_lidar_synthetic import model as pretraining

from ponderv2.heads import UVTRHead
from ponderv2.models import SensorPreprocessor, VolumeDetector

model = dict(
    type=VolumeDetector,
    data_preprocessor=dict(type=SensorPreprocessor),
    init_cfg=dict(checkpoint="work_dirs/ponderv2_lidar_synthetic/encoder.safetensors"),
    encoder=pretraining.encoder,
    head=dict(type=UVTRHead, in_channels=32, channels=128, num_classes=10, num_queries=200, num_layers=3),
)
del pretraining

train_dataloader.dataset.pipeline = [load_sweeps, load_boxes, augment, in_range, pack]
val_dataloader.dataset.pipeline = [load_sweeps, pack]
test_dataloader = val_dataloader
