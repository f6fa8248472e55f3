"""LiDAR segmentation with a hundredth of the labeled training frames, otherwise as the recipe with all of them.

Hardware: as there, about 2,400 iterations. Aims at: 50.6 mIoU (published, OLIVINE with MinkUNet-34) against 30.3 from
scratch (published, MinkUNet-34); nothing is published for rendering with this few labels. The Lovász loss is that of
the works with few labels (SLidR); 100 epochs are ours.

Loss: cross entropy and Lovász.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import lovasz_head
    from .lidarseg_unet_vs0p05_4xb3_50e_nuscenes import *

model = dict(model, head=lovasz_head)
train_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, fraction=0.01, fraction_by="frames", fraction_seed=0)
)

# Schedule: twice as many epochs
max_epochs = 100
param_scheduler = [dict(one_cycle, end=max_epochs, by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(train_cfg, max_epochs=max_epochs, val_interval=20)
