"""Camera pre-training with rendered features of a frozen image teacher, tiny, on synthetic street scenes.

Minutes on a CPU core. As `ponderv2_camera_synthetic`, on the same schedule, and features beside colors and depth: the
pictures are hidden in parts from the encoder, and whole for the teacher. The teacher is the street teacher, a stand-in
for a foundation model that was trained on labels of other synthetic towns (tools/train_street_teacher.py):
`--cfg-options model.image_branch.teacher.path=FILE`. The exported encoder is, key by key, that of the recipe without.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.image_features import digest_images, fit_reduction, tiny_distil, tiny_feature
    from .._base_.nuscenes import load_cameras, load_sweep, pack
    from .ponderv2_camera_synthetic import *

from ponderv2.models import ImageFeaturePretrainer

model = dict(
    model,
    type=ImageFeaturePretrainer,
    image_branch=tiny_distil,
    head=dict(model.head, objective=dict(preset="occupancy", feature=4.0), feature=tiny_feature),
)

# Data
train_dataloader = dict(
    train_dataloader,
    dataset=dict(
        train_dataloader.dataset,
        pipeline=[load_cameras, digest_images, load_sweep, train_rays, pack],
    ),
)
val_dataloader = dict(
    val_dataloader,
    dataset=dict(val_dataloader.dataset, pipeline=[load_cameras, digest_images, load_sweep, val_rays, pack]),
)
test_dataloader = val_dataloader
custom_hooks = [*custom_hooks, fit_reduction]
