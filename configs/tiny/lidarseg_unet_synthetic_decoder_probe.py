"""LiDAR segmentation, tiny, decoder probe: the way down of the U-Net is frozen; otherwise as `lidarseg_unet_synthetic`.

Minutes on 2 CPU cores. `--scratch` probes a way down that knows nothing.

Loss: cross entropy and Lovász.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import way_up
    from .lidarseg_unet_synthetic import *

model = dict(model, freeze_encoder=True, trained_parts=way_up)
