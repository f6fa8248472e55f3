"""nuScenes key frames for detection from cameras and LiDAR: images and ten sweeps with the augmentation of both.

UniPAD's fusion recipe: photometric distortion and grid mask of the cameras, rotation, scale, shift and flips of the
LiDAR. Its final model also pastes objects, into points and images, for the first 15 of 20 epochs (UVTR: the same); a
recipe for that sets

    train_dataloader.dataset.pipeline = with_paste
    custom_hooks = [fade]

and needs a paste database with pictures (tools/create_data.py --image-crops). Colours are distorted after pasting, so
that pasted objects are as well; the published code does it before.
"""

from mmengine.config import read_base

with read_base():
    from .nuscenes_detection_camera import grid_mask, load_cameras, photometric
    from .nuscenes_detection_lidar import augment, fade, load_sweeps
    from .nuscenes_detection_loaders import *

from ponderv2.datasets import PasteObjects

paste = dict(type=PasteObjects, data_root=data_root, images=True)
augmentation = [photometric, augment, in_range, grid_mask]
without_paste = [load_cameras, load_sweeps, load_boxes, *augmentation, pack]
with_paste = [load_cameras, load_sweeps, load_boxes, paste, *augmentation, pack]
train_dataloader.batch_size = 2
train_dataloader.dataset.pipeline = without_paste
val_dataloader.dataset.pipeline = [load_cameras, load_sweeps | dict(test_mode=True), pack]
test_dataloader = val_dataloader
