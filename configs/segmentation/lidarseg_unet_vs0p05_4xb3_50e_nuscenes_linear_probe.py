"""LiDAR segmentation, linear probe: the pre-trained encoder is frozen, a linear classifier of its features is trained.

Hardware: as fine-tuning, less memory. Published linear probes: random 8.1, SLidR 38.8, Seal 45.0, OLIVINE 50.1 mIoU
(all MinkUNet-34), ScaLR 67.8 (WaffleIron-48-768); none of rendering. `--scratch` probes an encoder that knows
nothing. Features are normed by their channel, so that their scale does not count; the rate is that of the recipe with
all labels.

Loss: cross entropy and Lovász. Fine-tuning with all labels has cross entropy alone.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import probe_head
    from .lidarseg_unet_vs0p05_4xb3_50e_nuscenes import *

model = dict(model, head=probe_head, freeze_encoder=True)
