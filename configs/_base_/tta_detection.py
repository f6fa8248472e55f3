"""Test-time augmentation of detection: three scales times flips in x and y, 12 passes (UniPAD's fusion test).

A recipe puts its loading in front, after which `tools/test.py --tta` works:

    tta_pipeline = [load_cameras, load_nearest_sweeps, *tta_passes]

Images are not augmented: calibration follows the scene, so cameras see it scaled and mirrored as well.
"""

from mmcv.transforms import TestTimeAug

from ponderv2.datasets import PackSensorInputs, UnifiedRotScaleTransFlip
from ponderv2.models import DetectionTTAModel

tta_model = dict(type=DetectionTTAModel, nms=0.1, max_boxes=500)
# Each has a single value to draw: fixed scale, and flips with probability 0 or 1.
tta_augmentations = [
    dict(type=UnifiedRotScaleTransFlip, scale=(factor, factor), flip_x=flip_x, flip_y=flip_y)
    for factor in (1.0, 1.06, 0.96)
    for flip_x in (0.0, 1.0)
    for flip_y in (0.0, 1.0)
]
tta_passes = [dict(type=TestTimeAug, transforms=[tta_augmentations, [dict(type=PackSensorInputs)]])]
