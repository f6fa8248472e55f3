"""AdamW at 4e-5, cyclic to 4e-4, a tenth of that for both encoders, 20 epochs: UVTR's fusion schedule, and UniPAD's.

For 4 GPUs with 2 frames each. The published config names every part of the two encoders, their convolutions after lift
and neck included; only the convolution over the sum, and the head, train at the full rate. (Of UVTR's own list two
names match nothing.)
"""

from mmengine.config import read_base

with read_base():
    from .schedule_uvtr_lidar_20e import *

_tenth = dict(lr_mult=0.1)
optim_wrapper.optimizer.update(lr=4e-5)
optim_wrapper.clip_grad.update(max_norm=35)
optim_wrapper["paramwise_cfg"] = dict(custom_keys={"encoder.camera": _tenth, "encoder.lidar": _tenth})
auto_scale_lr.update(base_batch_size=8)
