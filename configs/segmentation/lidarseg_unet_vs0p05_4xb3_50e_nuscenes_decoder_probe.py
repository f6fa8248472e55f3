"""LiDAR segmentation, decoder probe: the way down of the pre-trained U-Net is frozen, the rest is trained.

Hardware: as fine-tuning, less memory. No published row for this encoder; the protocol is that of Sonata, whose
encoder has no way up. `--scratch` probes a way down that knows nothing.

Loss: cross entropy.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import way_up
    from .lidarseg_unet_vs0p05_4xb3_50e_nuscenes import *

model = dict(model, freeze_encoder=True, trained_parts=way_up)
