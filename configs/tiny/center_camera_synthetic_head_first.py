"""Camera detection, tiny, with a warm-up of the head: `center_camera_synthetic` without augmentation.

The head alone for 1,000 iterations, on volumes that are computed once, then everything for 250: minutes on a CPU, and
for comparisons: the encoder costs most of a step. Both parts have a cycle of their own and are scored at their ends.
"""

from mmengine.config import read_base

with read_base():
    from .center_camera_synthetic import *

from ponderv2.engine import UnfreezeEncoderHook

model = dict(model, freeze_encoder=True, cache_volumes=True)

# Cached volumes must not change: the pipeline augments nothing.
unaugmented = dict(train_dataloader.dataset, pipeline=[load_cameras, load_boxes, in_range, pack])
train_dataloader = dict(train_dataloader, dataset=unaugmented)

# Schedule: one cycle. The rate is `eta_max`, which takes the place of `lr`; a longer run needs `total_steps` too.
head_iters = 1000
full_iters = 250
max_iters = head_iters + full_iters
one_cycle = dict(type=OneCycleLR, eta_max=1e-3, pct_start=0.15, by_epoch=False)
param_scheduler = [
    dict(total_steps=head_iters, begin=0, end=head_iters, **one_cycle),
    dict(total_steps=full_iters, begin=head_iters, end=max_iters, **one_cycle),
]
train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=head_iters)
custom_hooks = [dict(type=UnfreezeEncoderHook, after=head_iters)]
