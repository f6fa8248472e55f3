"""UVTR's camera schedule in 12 epochs: UniPAD's camera ablation."""

from mmengine.config import read_base

with read_base():
    from .schedule_uvtr_camera_24e import *

max_epochs = 12
param_scheduler[1].update(end=max_epochs)
train_cfg.update(max_epochs=max_epochs)
