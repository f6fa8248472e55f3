"""nuScenes key frames for LiDAR detection: ten sweeps, turned, scaled, shifted and flipped; no image is opened.

UniPAD's LiDAR recipe: rotation ±0.785, scale 0.9–1.1, shift 0.5 m, flips 0.5 (UVTR itself: ±0.3925, 0.95–1.05). Its
final model also balances classes and pastes objects for the first 15 of 20 epochs; a recipe for that sets

    train_dataloader.dataset = balanced
    custom_hooks = [fade]

Where nine of ten earlier sweeps are drawn at random in training, evaluation takes the nearest nine; the published code
draws there too.
"""

from mmengine.config import read_base

with read_base():
    from .nuscenes_detection_loaders import *

from ponderv2.datasets import LoadLidarSweeps, PasteObjects, PonderCBGSDataset, UnifiedRotScaleTransFlip
from ponderv2.engine import DisableTransformsHook

load_sweeps = dict(type=LoadLidarSweeps, num_sweeps=9)
paste = dict(type=PasteObjects, data_root=data_root)
augment = dict(
    type=UnifiedRotScaleTransFlip,
    rotation=(-0.785, 0.785),
    scale=(0.9, 1.1),
    translation_std=(0.5, 0.5, 0.5),
    flip_x=0.5,
    flip_y=0.5,
)
augmentation = [augment, in_range]
without_paste = [load_sweeps, load_boxes, *augmentation, pack]
with_paste = [load_sweeps, load_boxes, paste, *augmentation, pack]
train_dataloader.batch_size = 4
train_dataloader.dataset.pipeline = without_paste
balanced = dict(type=PonderCBGSDataset, dataset=train_dataloader.dataset | dict(pipeline=with_paste))
fade = dict(type=DisableTransformsHook, after=15, transforms=(PasteObjects,))
val_dataloader.dataset.pipeline = [load_sweeps | dict(test_mode=True), pack]
test_dataloader = val_dataloader
