"""UniPAD's final LiDAR model for the test split: trained on train and val, a submission for test.

Hardware: as the model it is made from, a fifth longer. Aims at: 71.6 NDS / 66.4 mAP on nuScenes test (published).
"""

from mmengine.config import read_base

with read_base():
    from .uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes import *

from ponderv2.evaluation import PonderNuScenesMetric

# Trained on train and val together; nothing is validated while training.
train_dataset = dict(train_dataloader.dataset.dataset, ann_file=("nuscenes_infos_train.pkl", "nuscenes_infos_val.pkl"))
train_dataloader = dict(train_dataloader, dataset=dict(train_dataloader.dataset, dataset=train_dataset))
val_dataloader = val_cfg = val_evaluator = None

# The info file of the test split comes from tools/create_data.py --version v1.0-test.
test_dataloader = dict(test_dataloader, dataset=dict(test_dataloader.dataset, ann_file="nuscenes_infos_test.pkl"))
test_evaluator = dict(
    type=PonderNuScenesMetric,
    data_root="data/nuscenes",
    ann_file="nuscenes_infos_test.pkl",
    submission_dir="work_dirs/submission",
)
