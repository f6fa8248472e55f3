"""Training on train and val together, and a submission for the test split.

The info file of the test split comes from tools/create_data.py --version v1.0-test. Nothing is validated while
training.
"""

from ponderv2.evaluation import PonderNuScenesMetric

trainval = ("nuscenes_infos_train.pkl", "nuscenes_infos_val.pkl")
submission = dict(
    type=PonderNuScenesMetric,
    data_root="data/nuscenes",
    ann_file="nuscenes_infos_test.pkl",
    submission_dir="work_dirs/submission",
)
