"""The camera schedule of `schedule_camera_12e` in 24 epochs: UVTR's, and that of UniPAD's final camera model."""

from mmengine.config import read_base

with read_base():
    from .schedule_camera_12e import *

max_epochs = 24
param_scheduler[1].update(end=max_epochs)
train_cfg.update(max_epochs=max_epochs)
