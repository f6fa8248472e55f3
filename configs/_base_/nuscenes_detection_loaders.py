"""Loaders of nuScenes key frames with boxes, still without pipelines, and the steps that their pipelines share.

What `nuscenes_detection_{camera,lidar,fusion}.py` have in common: boxes with at least one LiDAR or radar point (the
data set has dropped those of other classes), within the range of the volume after augmentation. A recipe sets
`in_range.point_cloud_range` where its volume is another, and `train_dataloader.dataset.load_interval` (published
ablations: 2 for cameras, "50 %"; 5 for LiDAR and fusion, "20 %").
`val` and `test` are always all frames of the validation split.
"""

from mmdet3d.datasets.transforms import LoadAnnotations3D, ObjectRangeFilter
from mmengine.dataset import DefaultSampler, pseudo_collate

from ponderv2.datasets import PackSensorInputs, PonderNuScenesDetDataset

data_root = "data/nuscenes"
point_cloud_range = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
load_boxes = dict(type=LoadAnnotations3D, with_bbox_3d=True, with_label_3d=True)
in_range = dict(type=ObjectRangeFilter, point_cloud_range=point_cloud_range)
pack = dict(type=PackSensorInputs)

loading = dict(num_workers=4, persistent_workers=True, collate_fn=dict(type=pseudo_collate))
dataset = dict(type=PonderNuScenesDetDataset, data_root=data_root, use_valid_flag=True)
train_dataloader = dict(
    batch_size=1,
    sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dataset | dict(ann_file="nuscenes_infos_train.pkl", load_interval=1),
    **loading,
)
val_dataloader = dict(
    batch_size=1,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dataset | dict(ann_file="nuscenes_infos_val.pkl", test_mode=True),
    **loading,
)
