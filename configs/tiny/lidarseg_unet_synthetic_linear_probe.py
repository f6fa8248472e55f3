"""LiDAR segmentation, tiny, linear probe of the frozen encoder: otherwise as `lidarseg_unet_synthetic`.

Minutes on 2 CPU cores. `--scratch` probes an encoder that knows nothing.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import tiny_probe_head
    from .lidarseg_unet_synthetic import *

model = dict(model, head=tiny_probe_head, freeze_encoder=True)
