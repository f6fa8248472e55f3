"""Loaders of nuScenes key frames, still without pipelines; what `nuscenes_{camera,lidar,fusion}.py` share."""

from mmengine.dataset import DefaultSampler, pseudo_collate

from ponderv2.datasets import PonderNuScenesDataset

data_root = "data/nuscenes"
loading = dict(num_workers=4, persistent_workers=True, collate_fn=dict(type=pseudo_collate))
dataset = dict(type=PonderNuScenesDataset, data_root=data_root)
train_dataloader = dict(
    batch_size=1,
    sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dataset | dict(ann_file="nuscenes_infos_train.pkl"),
    **loading,
)
# No frame of the validation set is trained on, so all its rays are held out.
val_dataloader = dict(
    batch_size=1,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dataset | dict(ann_file="nuscenes_infos_val.pkl", test_mode=True),
    **loading,
)
