"""Camera detection, tiny, on synthetic street scenes: UVTR on the encoder of `ponderv2_camera_synthetic`.

Minutes on 2 CPU cores. The encoder is that of pre-training, key by key, with one convolution after the lift that starts
new; `--cfg-options model.init_cfg=None` trains the scratch twin. The head is the published one with few queries,
layers and channels.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny_detection import *
    from .ponderv2_camera_synthetic import model as pretraining

from ponderv2.heads import UVTRHead
from ponderv2.models import SensorPreprocessor, VolumeDetector

channels = 32
encoder = pretraining.encoder
encoder.num_convs = 1
model = dict(
    type=VolumeDetector,
    data_preprocessor=dict(type=SensorPreprocessor, pad_divisor=32),
    init_cfg=dict(checkpoint="work_dirs/ponderv2_camera_synthetic/encoder.safetensors", new=("convs",)),
    encoder=encoder,
    head=dict(type=UVTRHead, in_channels=channels, num_classes=10, num_queries=200, num_layers=3),
)
del pretraining

train_dataloader.dataset.pipeline = [load_cameras, load_boxes, augment, in_range, pack]
val_dataloader.dataset.pipeline = [load_cameras, pack]
test_dataloader = val_dataloader
val_evaluator.sensors = ("camera",)
test_evaluator = val_evaluator
