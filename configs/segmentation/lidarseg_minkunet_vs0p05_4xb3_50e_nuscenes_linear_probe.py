"""LiDAR segmentation, linear probe of MinkUNet-34: what the features of images have taught it.

Hardware: as `lidarseg_unet_vs0p05_4xb3_50e_nuscenes_linear_probe`, of which it is the like with the encoder that
published probes have: random 8.1, SLidR 38.8, Seal 45.0, OLIVINE 50.1 mIoU. Not run.
`--cfg-options model.init_cfg.checkpoint=FILE` probes another encoder, such as that of the consensus.

Loss: cross entropy and Lovász.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import probe_head, segmentation_mink_unet
    from .lidarseg_unet_vs0p05_4xb3_50e_nuscenes import *

model = dict(
    model,
    encoder=segmentation_mink_unet,
    head=probe_head,
    freeze_encoder=True,
    init_cfg=dict(checkpoint="work_dirs/ponderv2_lidar_minkunet_distil_vs0p1_4xb4_24e_nuscenes/encoder.safetensors"),
)
