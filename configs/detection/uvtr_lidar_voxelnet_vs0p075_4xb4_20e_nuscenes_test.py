"""UniPAD's final LiDAR model for the test split: trained on train and val, a submission for test.

Hardware: as the model it is made from, a fifth longer. Aims at: 71.6 NDS / 66.4 mAP on nuScenes test (published).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes_test_split import *
    from .uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes import *

train_dataloader.dataset.dataset.ann_file = trainval
test_dataloader.dataset.ann_file = submission.ann_file
test_evaluator = submission
val_dataloader = val_cfg = val_evaluator = None
