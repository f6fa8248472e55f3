"""Camera pre-training, tiny, on synthetic street scenes, with history: the current frame alone is masked.

Minutes on 2 CPU cores; data and schedule are those of `ponderv2_camera_synthetic`. Two earlier key frames are encoded
without masking and without gradients, as in `bevformer_temporal_camera_synthetic`; the volume of the last one is moved
by the motion of the car, and every cell of the current one attends to it. Cells are of 2 m, there is one layer. In
evaluation frames bring their history as well. Detectors have pillars and two layers, so what their recipes can start
from is its image backbone alone, by `model.init_cfg.checkpoint`: what is learned of history is handed to none.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny import tiny_bevformer_temporal_encoder
    from .ponderv2_camera_synthetic import *

model = dict(model, encoder=tiny_bevformer_temporal_encoder)

# Data
train_dataloader = dict(train_dataloader, dataset=dict(train_dataloader.dataset, history=2, draw_history=True))
val_dataloader = dict(val_dataloader, dataset=dict(val_dataloader.dataset, history=2))
test_dataloader = val_dataloader
