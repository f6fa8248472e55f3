"""LiDAR pre-training for segmentation, PonderV2's outdoor model: a sparse U-Net on one sweep, 0.1 m voxels.

Hardware: 4 A100 (published setting: 4 GPUs, 4 frames each), about 42,000 iterations; time not measured yet.
Aims at: 79.4 mIoU on nuScenes lidarseg after fine-tuning (published; 73.3 from scratch).
Published: (x, y, z, intensity / 255), blocks of 8 voxels, 80 % hidden behind a token (the paper hides them like
UniPAD; so does mask_token=False), depth alone (weight 10), jitter by sample, rays to returns beyond 3 m.
Where the published code differs, on purpose: lengths are metres in all directions (it squeezes the scene into a
unit cube), a voxel is the mean of its points (one of them at random), every frame is turned (half of them).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.encoders import lidar_unet
    from .._base_.nuscenes import eval_loader, frames_dataset, load_calibration, load_sweep, pack, rays, train_loader
    from .._base_.nuscenes import turn_and_flip
    from .._base_.runtime import *

from mmengine.optim import CosineAnnealingLR, CosineAnnealingMomentum
from mmengine.runner import EpochBasedTrainLoop
from torch.optim import AdamW

from ponderv2.engine import EncoderExportHook, PrecisionOptimWrapper, RenderPreviewHook
from ponderv2.evaluation import RenderMetric
from ponderv2.heads import RenderHead
from ponderv2.models import RenderingPretrainer, SensorPreprocessor
from ponderv2.rendering import HierarchicalSampler

model = dict(
    type=RenderingPretrainer,
    data_preprocessor=dict(type=SensorPreprocessor),
    masking=dict(point_ratio=0.8, point_block=8),
    encoder=lidar_unet,
    head=dict(
        type=RenderHead,
        in_channels=96,
        hidden_channels=16,
        objective=dict(color=0.0),
        sampler=dict(type=HierarchicalSampler, single_jitter=False),
    ),
)

# Data: no image is opened. No frame of the validation set is trained on, so all its rays are held out.
depth_rays = dict(rays, color=False)
train_dataloader = dict(
    train_loader,
    batch_size=4,
    dataset=dict(
        frames_dataset,
        ann_file="nuscenes_infos_train.pkl",
        pipeline=[load_calibration, load_sweep, turn_and_flip, depth_rays, pack],
    ),
)
val_dataset = dict(
    frames_dataset,
    ann_file="nuscenes_infos_val.pkl",
    test_mode=True,
    pipeline=[load_calibration, load_sweep, dict(depth_rays, split="all", seed=0), pack],
)
# While training, every 20th frame; tools/test.py takes all.
val_dataloader = dict(eval_loader, dataset=dict(val_dataset, load_interval=20))
test_dataloader = dict(eval_loader, dataset=val_dataset)
val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator

# Schedule: PonderV2's outdoor one, torch's OneCycleLR with its defaults: cosines up to ten times the rate over 40 % and
# down to a hundredth of it, while momentum goes from 0.95 to 0.85 and back. Its code clips no gradients; nor does this.
max_epochs = 24
rising = dict(begin=0, end=0.4 * max_epochs, by_epoch=True, convert_to_iter_based=True)
falling = dict(begin=0.4 * max_epochs, end=max_epochs, by_epoch=True, convert_to_iter_based=True)
optim_wrapper = dict(
    type=PrecisionOptimWrapper,
    precision="auto",  # bfloat16 where the device is fast in it, as an A100 is; published: float16
    # At the start; at the peak 2e-4. Momentum starts at the upper end of its cycle.
    optimizer=dict(type=AdamW, lr=2e-5, betas=(0.95, 0.999), weight_decay=0.01),
)
param_scheduler = [
    dict(type=CosineAnnealingLR, eta_min_ratio=10.0, **rising),
    dict(type=CosineAnnealingLR, eta_min_ratio=1e-2, **falling),
    dict(type=CosineAnnealingMomentum, eta_min=0.85, **rising),
    dict(type=CosineAnnealingMomentum, eta_min=0.95, **falling),
]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=max_epochs, val_interval=8)
auto_scale_lr = dict(enable=False, base_batch_size=16)
custom_hooks = [dict(type=RenderPreviewHook, interval=2000, stride=8), dict(type=EncoderExportHook)]
