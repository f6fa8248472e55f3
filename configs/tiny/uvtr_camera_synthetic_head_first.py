"""Camera detection, tiny, head first: `uvtr_camera_synthetic` without augmentation.

For comparisons: 1,250 steps of the head in the time of some 400 full ones; see `_base_/schedule_head_first.py`.
"""

from mmengine.config import read_base

with read_base():
    from .uvtr_camera_synthetic import *
    from .._base_.schedule_head_first import *

model.update(freeze_encoder=True, keep_volumes=True)
train_dataloader.dataset.pipeline = [load_cameras, load_boxes, in_range, pack]
