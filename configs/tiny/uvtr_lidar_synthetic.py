"""LiDAR detection, tiny, on synthetic street scenes: UVTR on the encoder of `ponderv2_lidar_synthetic`.

Minutes on 2 CPU cores. One sweep; no image is opened. The encoder is that of pre-training, key by key; all else is in
`_base_/tiny_detection.py`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny_detection import *
    from .ponderv2_lidar_synthetic import model as pretraining

model.update(
    init_cfg=dict(checkpoint="work_dirs/ponderv2_lidar_synthetic/encoder.safetensors"), encoder=pretraining.encoder
)
del pretraining

train_dataloader.dataset.pipeline = [load_sweeps, load_boxes, augment, in_range, pack]
val_dataloader.dataset.pipeline = [load_sweeps, pack]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
