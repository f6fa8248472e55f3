"""AdamW at 1e-4, cyclic: up to 1e-3 over 40 % of 20 epochs, down to 1e-8; UniPAD's LiDAR fine-tuning.

The cycle of `schedule_lidar_12e`, five times as high and clipped at 10. UVTR itself starts at 2e-5. For 4 GPUs with 4
frames each.
"""

from mmengine.config import read_base

with read_base():
    from .schedule_lidar_12e import *

max_epochs = 20
peak = 0.4 * max_epochs
for rising, falling in (param_scheduler[0:2], param_scheduler[2:4]):
    rising.update(end=peak)
    falling.update(begin=peak, end=max_epochs)
del rising, falling, peak
train_cfg.update(max_epochs=max_epochs)
optim_wrapper.optimizer.update(lr=1e-4)
optim_wrapper.clip_grad.update(max_norm=10)
