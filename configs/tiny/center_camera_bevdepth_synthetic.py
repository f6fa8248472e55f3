"""Camera detection, tiny, on synthetic street scenes: CenterPoint's head on the lift of BEVDepth.

Minutes on 2 CPU cores. LiDAR supervises the depths. `center_camera_synthetic` on the encoder of
`ponderv2_camera_bevdepth_synthetic`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes import load_sweep
    from .._base_.tiny import tiny_bevdepth_encoder
    from .center_camera_synthetic import *

model = dict(
    model,
    init_cfg=dict(checkpoint="work_dirs/ponderv2_camera_bevdepth_synthetic/encoder.safetensors"),
    encoder=dict(tiny_bevdepth_encoder, depth_loss=dict(weight=1.0)),
)

# Points supervise the depths.
train_dataset = dict(train_dataloader.dataset, pipeline=[load_cameras, load_sweep, load_boxes, turn, in_range, pack])
train_dataloader = dict(train_dataloader, dataset=train_dataset)
