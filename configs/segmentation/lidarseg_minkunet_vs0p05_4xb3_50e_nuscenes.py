"""LiDAR segmentation for comparison: MinkUNet-34 with mmdet3d's layers, in place of the sparse U-Net, from scratch.

Hardware: as `lidarseg_unet_vs0p05_4xb3_50e_nuscenes`, whose data and schedule these are. Published from scratch: 74.7
mIoU on nuScenes-lidarseg val (MinkUNet-34, as OLIVINE and others report it, on their own schedule).

Loss: cross entropy.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import segmentation_mink_unet
    from .lidarseg_unet_vs0p05_4xb3_50e_nuscenes import *

model = dict(model, encoder=segmentation_mink_unet, init_cfg=None)
scratch = {"model.init_cfg": None}
