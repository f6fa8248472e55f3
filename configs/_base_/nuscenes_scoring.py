"""Official nuScenes scores of the validation split, and the best checkpoint by NDS."""

from ponderv2.evaluation import PonderNuScenesMetric

val_evaluator = dict(type=PonderNuScenesMetric, data_root="data/nuscenes", ann_file="nuscenes_infos_val.pkl")
test_evaluator = val_evaluator
