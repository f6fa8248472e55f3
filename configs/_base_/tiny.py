"""What the tiny recipes share: loaders of one frame a batch, an optimiser for few steps, metrics and hooks."""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from mmengine.dataset import DefaultSampler, InfiniteSampler, pseudo_collate
from mmengine.optim import OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

from ponderv2.datasets import PackSensorInputs
from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.evaluation import RenderMetric

point_cloud_range = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
pack = dict(type=PackSensorInputs)
loading = dict(batch_size=1, collate_fn=dict(type=pseudo_collate))
train_dataloader = dict(
    num_workers=1, persistent_workers=True, sampler=dict(type=InfiniteSampler, shuffle=True), **loading
)
val_dataloader = dict(num_workers=0, sampler=dict(type=DefaultSampler, shuffle=False), **loading)
val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator

train_cfg = dict(type=IterBasedTrainLoop)
optim_wrapper = dict(
    type=OptimWrapper,
    # Gradients shrink tenfold in the first hundred steps; at the usual 0.999 their early size would slow the rest.
    optimizer=dict(type=AdamW, lr=3e-3, betas=(0.9, 0.99), weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2),
)
default_hooks.update(checkpoint=dict(type=CheckpointHook, by_epoch=False, interval=100, max_keep_ckpts=2))
log_processor.update(by_epoch=False)
custom_hooks = [dict(type=RenderPreviewHook, stride=4), dict(type=EncoderExportHook)]
