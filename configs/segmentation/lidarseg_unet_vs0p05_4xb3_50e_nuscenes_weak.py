"""LiDAR segmentation with weak labels: every training frame, a thousandth of its labeled points.

Hardware: as the recipe with all labels. No published row for this encoder. The Lovász loss is that of the works with
few labels (SLidR); the rest is that of the recipe with all labels.

Loss: cross entropy and Lovász.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import lovasz_head
    from .lidarseg_unet_vs0p05_4xb3_50e_nuscenes import *

model = dict(model, head=lovasz_head)
train_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, fraction=0.001, fraction_by="points", fraction_seed=0)
)
