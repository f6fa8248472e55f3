"""LiDAR segmentation, tiny, linear probe of the frozen encoder: `lidarseg_unet_synthetic` without augmentation.

Minutes on 2 CPU cores: each training frame is encoded once. `--scratch` probes an encoder that knows nothing.

Loss: cross entropy and Lovász.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import tiny_probe_head
    from .lidarseg_unet_synthetic import *

model = dict(model, head=tiny_probe_head, freeze_encoder=True, cache_voxels=True)

# Cached voxels must not change: the pipeline augments nothing.
unaugmented = dict(train_dataloader.dataset, pipeline=[load_sweep, load_labels, pack])
train_dataloader = dict(train_dataloader, dataset=unaugmented)

# Schedule: one cycle. The rate is `eta_max`, which takes the place of `lr`; a longer run needs `total_steps` too.
max_iters = 800
param_scheduler = [dict(type=OneCycleLR, eta_max=4e-2, total_steps=max_iters, pct_start=0.15, by_epoch=False)]
train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=max_iters)
