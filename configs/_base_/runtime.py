"""What every recipe shares: logging, progress, checkpoints, seeds."""

from mmengine.hooks import (
    CheckpointHook,
    DistSamplerSeedHook,
    EMAHook,
    IterTimerHook,
    LoggerHook,
    ParamSchedulerHook,
    SyncBuffersHook,
)
from mmengine.runner import LogProcessor, TestLoop, ValLoop
from mmengine.visualization import LocalVisBackend, TensorboardVisBackend, Visualizer

from ponderv2.engine import CostHook, GatheredRuntimeInfoHook, NonFiniteLossHook, ProgressHook, RankWatchHook

default_scope = "mmdet3d"
default_hooks = dict(
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=50),
    param_scheduler=dict(type=ParamSchedulerHook),
    runtime_info=dict(type=GatheredRuntimeInfoHook),
    sampler_seed=dict(type=DistSamplerSeedHook),
    # Each process has running statistics of its own frames; evaluation and exported weights have their mean.
    sync_buffers=dict(type=SyncBuffersHook),
    checkpoint=dict(type=CheckpointHook, interval=1, max_keep_ckpts=2),
    progress=dict(type=ProgressHook, seconds=5),
    # A loss or gradient that is not finite ends the training before it reaches the weights; policy="skip" goes on.
    non_finite=dict(type=NonFiniteLossHook, policy="stop"),
    cost=dict(type=CostHook),
    # Of several processes: who is gone or late, when a collective fails or stalls.
    rank_watch=dict(type=RankWatchHook, stalled_after=120.0),
)
env_cfg = dict(
    # Images and volumes of a recipe have one size, so that the fastest convolutions are looked for once.
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
    tf32=True,  # of convolutions that stay in float32, see `ponderv2.engine.allow_tf32`
)
visualizer = dict(type=Visualizer, vis_backends=[dict(type=LocalVisBackend), dict(type=TensorboardVisBackend)])
log_processor = dict(type=LogProcessor, window_size=50)
# Masks, jitter, dropped paths and noise differ between processes; weights and the order of frames do not.
randomness = dict(seed=0, diff_rank_seed=True)
log_level = "INFO"
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)

# For `custom_hooks`: a recipe with it evaluates, saves and exports averages of the weights of some thousand steps.
averaged_weights = dict(type=EMAHook, momentum=2e-4)

# Of a detector, also the best one by validation: `best_nuscenes_NDS_epoch_*.pth`. What renders best need not transfer
# best, so pre-training keeps and exports its last one, as published.
with_best = dict(
    checkpoint=dict(type=CheckpointHook, interval=1, max_keep_ckpts=2, save_best="nuscenes/NDS", rule="greater")
)
# The same of a segmentor: `best_lidarseg_mIoU_epoch_*.pth`.
with_best_segmentor = dict(
    checkpoint=dict(type=CheckpointHook, interval=1, max_keep_ckpts=2, save_best="lidarseg/mIoU", rule="greater")
)
