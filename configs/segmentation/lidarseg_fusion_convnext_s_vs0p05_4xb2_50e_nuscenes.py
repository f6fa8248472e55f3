"""Segmentation of LiDAR points with images: the sparse U-Net, and features of a ConvNeXt gathered at the points.

Hardware: 4 GPUs, two samples each, 50 epochs, about 175,800 iterations; neither memory nor time measured yet. No
published row: it shows what pre-training of the cameras is worth for segmentation. Starts from the pre-trained encoders
of `ponderv2_camera_convnext_s_pull_vs0p075_4xb1_12e_nuscenes` and `ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes`, which
tools/merge_checkpoints.py merges with this recipe; `--scratch` starts from ImageNet. Images are not augmented.

Loss: cross entropy and Lovász.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.encoders import camera_pull_54m, convnext_small, imagenet_weights
    from .._base_.nuscenes import eval_loader, load_cameras, load_sweep, pack, train_loader
    from .._base_.runtime import *
    from .._base_.segmentation import jitter, labels_dataset, load_labels, load_labels_to_score
    from .._base_.segmentation import running_score, sample_grid, segmentation_unet, turn_half
    from .._base_.tta_segmentation import tta_model, tta_passes

from mmengine.optim import OneCycleLR
from mmengine.runner import EpochBasedTrainLoop
from torch.optim import AdamW

from ponderv2.engine import CheckedOptimWrapperConstructor, PrecisionOptimWrapper
from ponderv2.encoders import PointFusionEncoder
from ponderv2.evaluation import LidarSegMetric
from ponderv2.heads import PointSegmentationHead
from ponderv2.models import LidarSegmentor, SensorPreprocessor

model = dict(
    type=LidarSegmentor,
    data_preprocessor=dict(type=SensorPreprocessor),
    init_cfg=dict(checkpoint="work_dirs/lidarseg_fusion_merged.pth"),
    encoder=dict(
        type=PointFusionEncoder,
        camera=dict(camera_pull_54m, img_backbone=dict(convnext_small, weights=None)),
        lidar=segmentation_unet,
    ),
    head=dict(type=PointSegmentationHead, in_channels=96, image_channels=256, hidden_channels=128),
)
# The baseline, `--scratch`: nothing is pre-trained, but for the image backbone by ImageNet.
scratch = {"model.init_cfg": None, "model.encoder.camera.img_backbone.weights": imagenet_weights}

# Data: one sweep and its images; every point of the file is predicted
train_dataloader = dict(
    train_loader,
    batch_size=2,
    dataset=dict(
        labels_dataset,
        ann_file="nuscenes_infos_train.pkl",
        pipeline=[load_cameras, load_sweep, load_labels, turn_half, jitter, sample_grid, pack],
    ),
)
val_dataloader = dict(
    eval_loader,
    dataset=dict(
        labels_dataset,
        ann_file="nuscenes_infos_val.pkl",
        test_mode=True,
        pipeline=[load_cameras, load_sweep, load_labels_to_score, sample_grid, pack],
    ),
)
test_dataloader = val_dataloader
tta_pipeline = [load_cameras, load_sweep, load_labels_to_score, *tta_passes]
val_evaluator = running_score
test_evaluator = dict(
    type=LidarSegMetric,
    data_root="data/nuscenes",
    ann_file="nuscenes_infos_val.pkl",
    submission_dir="{work_dir}/submission",
    sensors=("camera", "lidar"),
)

# Schedule: one cycle; the rate is `eta_max`, which takes the place of `lr`. Half of the rate of the LiDAR alone (ours).
max_epochs = 50
optim_wrapper = dict(
    type=PrecisionOptimWrapper,
    precision="auto",  # bfloat16 where the device is fast in it, as an A100 is
    constructor=CheckedOptimWrapperConstructor,
    optimizer=dict(type=AdamW, lr=1e-3, weight_decay=5e-3),
)
one_cycle = dict(type=OneCycleLR, eta_max=1e-3, pct_start=0.04, div_factor=10.0, final_div_factor=100.0, begin=0)
param_scheduler = [dict(one_cycle, end=max_epochs, by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=max_epochs, val_interval=5)
auto_scale_lr = dict(enable=False, base_batch_size=8)
default_hooks = dict(default_hooks, **with_best_segmentor)
