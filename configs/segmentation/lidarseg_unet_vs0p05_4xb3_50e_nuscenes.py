"""LiDAR segmentation: a sparse U-Net on voxels of 0.05 m, pre-trained by rendering, all training labels.

Hardware: 4 GPUs, three sweeps each (the public baseline has batch 12), 50 epochs, about 117,200 iterations; time not
measured yet. Aims at: 79.4 mIoU on nuScenes-lidarseg val (published, PonderV2, whose recipe is not public); 73.3 from
scratch (published, Pointcept's SpUNet, whose schedule and augmentation these are).
Starts from `pretrain/ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes`, on voxels of 0.1 m; its weights fit key by key.
`tools/test.py --tta` tests with ten augmentations, as published.

Loss: cross entropy.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes import eval_loader, load_sweep, pack, train_loader
    from .._base_.runtime import *
    from .._base_.segmentation import jitter, labels_dataset, linear_head, load_labels, load_labels_to_score
    from .._base_.segmentation import running_score, sample_grid, segmentation_unet, turn_half
    from .._base_.tta_segmentation import tta_model, tta_passes

from mmengine.optim import OneCycleLR
from mmengine.runner import EpochBasedTrainLoop
from torch.optim import AdamW

from ponderv2.engine import CheckedOptimWrapperConstructor, PrecisionOptimWrapper
from ponderv2.evaluation import LidarSegMetric
from ponderv2.models import LidarSegmentor, SensorPreprocessor

model = dict(
    type=LidarSegmentor,
    data_preprocessor=dict(type=SensorPreprocessor),
    init_cfg=dict(checkpoint="work_dirs/ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes/encoder.safetensors"),
    encoder=segmentation_unet,
    head=linear_head,
)
# The baseline, `--scratch`: nothing is pre-trained.
scratch = {"model.init_cfg": None}

# Data: one sweep; every point of the file is predicted
train_dataloader = dict(
    train_loader,
    batch_size=3,
    dataset=dict(
        labels_dataset,
        ann_file="nuscenes_infos_train.pkl",
        pipeline=[load_sweep, load_labels, turn_half, jitter, sample_grid, pack],
    ),
)
val_dataloader = dict(
    eval_loader,
    dataset=dict(
        labels_dataset,
        ann_file="nuscenes_infos_val.pkl",
        test_mode=True,
        pipeline=[load_sweep, load_labels_to_score, sample_grid, pack],
    ),
)
test_dataloader = val_dataloader
tta_pipeline = [load_sweep, load_labels_to_score, *tta_passes]
val_evaluator = running_score
test_evaluator = dict(
    type=LidarSegMetric,
    data_root="data/nuscenes",
    ann_file="nuscenes_infos_val.pkl",
    submission_dir="{work_dir}/submission",
)

# Schedule: one cycle; the rate is `eta_max`, which takes the place of `lr`. The baseline clips no gradients.
max_epochs = 50
optim_wrapper = dict(
    type=PrecisionOptimWrapper,
    precision="auto",  # bfloat16 where the device is fast in it, as an A100 is
    constructor=CheckedOptimWrapperConstructor,
    optimizer=dict(type=AdamW, lr=2e-3, weight_decay=5e-3),
)
one_cycle = dict(type=OneCycleLR, eta_max=2e-3, pct_start=0.04, div_factor=10.0, final_div_factor=100.0, begin=0)
param_scheduler = [dict(one_cycle, end=max_epochs, by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=max_epochs, val_interval=5)
auto_scale_lr = dict(enable=False, base_batch_size=12)
default_hooks = dict(default_hooks, **with_best_segmentor)
