"""UVTR's fusion schedule in 12 epochs: UniPAD's fusion ablation."""

from mmengine.config import read_base

with read_base():
    from .schedule_uvtr_fusion_20e import *

max_epochs = 12
peak = 0.4 * max_epochs
for rising, falling in (param_scheduler[0:2], param_scheduler[2:4]):
    rising.update(end=peak)
    falling.update(begin=peak, end=max_epochs)
del rising, falling, peak
train_cfg.update(max_epochs=max_epochs)
