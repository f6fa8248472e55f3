"""LiDAR segmentation with a tenth of the labeled frames, otherwise as `lidarseg_unet_vs0p05_4xb3_50e_nuscenes`.

Hardware: as there, a tenth as long. Aims at: 65.0 mIoU (published, OLIVINE with MinkUNet-34) against 56.2 from
scratch (published, MinkUNet-34); nothing is published for rendering with this many labels. The Lovász loss is that of
the works with few labels (SLidR); the schedule is ours.

Loss: cross entropy and Lovász.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import lovasz_head
    from .lidarseg_unet_vs0p05_4xb3_50e_nuscenes import *

model = dict(model, head=lovasz_head)
train_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, fraction=0.1, fraction_by="frames", fraction_seed=0)
)
