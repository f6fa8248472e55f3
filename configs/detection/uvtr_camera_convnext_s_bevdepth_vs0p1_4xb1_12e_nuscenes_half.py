"""Camera detection, the ablation with the lift of BEVDepth (PonderV2, table 18): UVTR's head, half of the frames.

Hardware: 4 A100, one frame each (published setting: 4 GPUs), 42,204 iterations; neither memory nor time measured yet.
Aims at: 5.2 to 6.3 NDS on nuScenes val more than from ImageNet, the range that PonderV2 gives for its three lifts
(published). Ten sweeps of LiDAR supervise the depths. In the published code the network is not told of the cameras:
`--cfg-options model.encoder.depth_net.camera_aware=False`, in both trainings. Starts from
`pretrain/ponderv2_camera_convnext_s_bevdepth_vs0p1_4xb1_12e_nuscenes`; three convolutions after the lift are new.
"""

from mmengine.config import read_base

with read_base():
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
)

# Points supervise the depths.
train_dataset = dict(
    train_dataloader.dataset,
    pipeline=[load_cameras, load_sweeps, load_boxes, photometric, turn, in_51m, grid_mask, pack],
)
train_dataloader = dict(train_dataloader, dataset=train_dataset)
