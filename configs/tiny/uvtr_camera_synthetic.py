"""Camera detection, tiny, on synthetic street scenes: UVTR on the encoder of `ponderv2_camera_synthetic`.

Minutes on 2 CPU cores. The encoder is that of pre-training, key by key; `--cfg-options model.init_cfg=None` trains the
scratch twin. The head is the published one of the camera ablation with few queries and layers, but with 128 channels:
with as few as the volume has it learns much more slowly.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny_detection import *
    from .ponderv2_camera_synthetic import model as pretraining

from ponderv2.heads import UVTRHead
from ponderv2.models import SensorPreprocessor, VolumeDetector

model = dict(
    type=VolumeDetector,
    data_preprocessor=dict(type=SensorPreprocessor, pad_divisor=32),
    init_cfg=dict(checkpoint="work_dirs/ponderv2_camera_synthetic/encoder.safetensors"),
    encoder=pretraining.encoder,
    head=dict(type=UVTRHead, in_channels=32, channels=128, num_classes=10, num_queries=200, num_layers=3),
)
del pretraining

train_dataloader.dataset.pipeline = [load_cameras, load_boxes, augment, in_range, pack]
val_dataloader.dataset.pipeline = [load_cameras, pack]
test_dataloader = val_dataloader
val_evaluator.sensors = ("camera",)
test_evaluator = val_evaluator
