"""Test-time augmentation of segmentation: five scales, with and without a flip of both x and y: ten passes.

Published of Pointcept's SpUNet. A recipe puts its loading in front, after which `tools/test.py --tta` works:

    tta_pipeline = [load_sweep, load_labels_to_score, *tta_passes]

Each pass samples its own grid; probabilities are averaged at the points of the file.
"""

from mmcv.transforms import TestTimeAug

from ponderv2.datasets import GridSampling, PackSensorInputs, UnifiedRotScaleTransFlip
from ponderv2.models import SegmentationTTAModel

tta_model = dict(type=SegmentationTTAModel)
# Each has a single value to draw: fixed scale, and flips with probability 0 or 1.
tta_augmentations = [
    dict(type=UnifiedRotScaleTransFlip, scale=(factor, factor), flip_x=flip, flip_y=flip)
    for factor in (0.9, 0.95, 1.0, 1.05, 1.1)
    for flip in (0.0, 1.0)
]
tta_passes = [
    dict(
        type=TestTimeAug,
        transforms=[tta_augmentations, [dict(type=GridSampling, cell_size=0.05)], [dict(type=PackSensorInputs)]],
    )
]
