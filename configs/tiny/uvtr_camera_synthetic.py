"""Camera detection, tiny, on synthetic street scenes: UVTR on the encoder of `ponderv2_camera_synthetic`.

Minutes on 2 CPU cores. Images alone are read. The encoder is that of pre-training, key by key; all else is in
`_base_/tiny_detection.py`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny_detection import *
    from .ponderv2_camera_synthetic import model as pretraining

model.update(
    init_cfg=dict(checkpoint="work_dirs/ponderv2_camera_synthetic/encoder.safetensors"), encoder=pretraining.encoder
)
del pretraining

train_dataloader.dataset.pipeline = [load_cameras, load_boxes, augment, in_range, pack]
val_dataloader.dataset.pipeline = [load_cameras, pack]
test_dataloader = val_dataloader
val_evaluator.sensors = ("camera",)
test_evaluator = val_evaluator
