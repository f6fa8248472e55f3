"""The head alone for 1,000 iterations, on volumes that are computed once, then everything for 250: minutes on a CPU.

A set predictor needs some hundred steps before the gradients it sends to its encoder mean anything. Here they cost a
tenth of a full step. Both parts have a cycle of their own and are scored at their ends. The pipeline must augment
nothing, and the model must be frozen at the start: `model.update(freeze_encoder=True, keep_volumes=True)`.
"""

from mmengine.optim import OneCycleLR
from mmengine.runner import IterBasedTrainLoop

from ponderv2.engine import UnfreezeEncoderHook

head_iters, full_iters = 1000, 250
max_iters = head_iters + full_iters
train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=head_iters)
_cycle = dict(type=OneCycleLR, eta_max=1e-3, pct_start=0.15, by_epoch=False)
param_scheduler = [
    dict(total_steps=head_iters, begin=0, end=head_iters, **_cycle),
    dict(total_steps=full_iters, begin=head_iters, end=max_iters, **_cycle),
]
custom_hooks = [dict(type=UnfreezeEncoderHook, after=head_iters)]
