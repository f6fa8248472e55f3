"""AdamW at 4e-5, cyclic to 4e-4, a tenth of that for both encoders, 20 epochs: UVTR's fusion schedule, and UniPAD's.

For 4 GPUs with 2 frames each. The published config names every part of the two encoders but for two names that match
nothing in UVTR; UniPAD's hit. The convolutions after the LiDAR's neck and the ones over the sum are new in fusion and
train at the full rate, as published; a model without the former takes `encoder.lidar.convs` out of the keys.
"""

from mmengine.config import read_base

with read_base():
    from .schedule_uvtr_lidar_20e import *

_tenth = dict(lr_mult=0.1)
optim_wrapper.optimizer.update(lr=4e-5)
optim_wrapper.clip_grad.update(max_norm=35)
optim_wrapper["paramwise_cfg"] = dict(
    # The longest key that matches counts.
    custom_keys={"encoder.camera": _tenth, "encoder.lidar": _tenth, "encoder.lidar.convs": dict(lr_mult=1.0)}
)
auto_scale_lr.update(base_batch_size=8)
