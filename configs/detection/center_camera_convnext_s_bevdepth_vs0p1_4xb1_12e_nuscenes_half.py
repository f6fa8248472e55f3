"""Camera detection, the lift and the kind of head of BEVDepth: CenterPoint's on half of the frames, for comparison.

Hardware: 4 A100, one frame each, 42,204 iterations; neither memory nor time measured yet. No published row: PonderV2's
table 18 has UVTR's head, and BEVDepth other images, augmentation and length. Ten sweeps of LiDAR supervise the depths.
Starts from `pretrain/ponderv2_camera_convnext_s_bevdepth_vs0p1_4xb1_12e_nuscenes`; three convolutions are new.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.center_heads import center_head_51m
    from .._base_.encoders import camera_bevdepth_51m_finetuned
    from .._base_.nuscenes import load_sweeps
    from .uvtr_camera_convnext_s_vs0p1_4xb1_12e_nuscenes_half import *

model = dict(
    model,
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_camera_convnext_s_bevdepth_vs0p1_4xb1_12e_nuscenes/encoder.safetensors",
        new=("convs",),
    ),
    encoder=camera_bevdepth_51m_finetuned,
    head=center_head_51m,
)

# Points supervise the depths.
train_dataset = dict(
    train_dataloader.dataset,
    pipeline=[load_cameras, load_sweeps, load_boxes, photometric, turn, in_51m, grid_mask, pack],
)
train_dataloader = dict(train_dataloader, dataset=train_dataset)
