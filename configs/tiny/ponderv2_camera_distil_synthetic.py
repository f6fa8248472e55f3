"""Camera pre-training with rendered features of a frozen image teacher, tiny, on synthetic street scenes.

Minutes on a CPU core. As `ponderv2_camera_synthetic`, on the same schedule, and features beside colors and depth: the
pictures are hidden in parts from the encoder, and whole for the teacher. The teacher is the street teacher, a stand-in
for a foundation model that was trained on labels of other synthetic towns (tools/train_street_teacher.py):
`--cfg-options model.image_branch.teacher.path=FILE`. The exported encoder is, key by key, that of the recipe without.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.image_features import digest_images, fit_reduction, tiny_distil
    from .._base_.nuscenes import load_cameras, load_sweep, pack
    from .._base_.tiny import synthetic_dataset, tiny_camera_render_head, tiny_eval_loader, tiny_train_loader
    from .ponderv2_camera_synthetic import *

from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.models import ImageFeaturePretrainer

model = dict(
    model,
    type=ImageFeaturePretrainer,
    image_branch=tiny_distil,
    head=dict(
        tiny_camera_render_head,
        objective=dict(preset="occupancy", feature=4.0),
        feature=dict(channels=16),
    ),
)

# Data
train_dataloader = dict(
    tiny_train_loader,
    dataset=dict(
        synthetic_dataset,
        ann_file="nuscenes_infos_train.pkl",
        pipeline=[load_cameras, digest_images, load_sweep, train_rays, pack],
    ),
)
val_dataloader = dict(
    tiny_eval_loader,
    dataset=dict(
        synthetic_dataset,
        ann_file="nuscenes_infos_val.pkl",
        test_mode=True,
        pipeline=[load_cameras, digest_images, load_sweep, val_rays, pack],
    ),
)
test_dataloader = val_dataloader
custom_hooks = [
    dict(type=RenderPreviewHook, interval=max_iters, stride=4),
    dict(type=EncoderExportHook),
    fit_reduction,
]
