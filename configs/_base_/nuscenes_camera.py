"""nuScenes key frames for camera pre-training: six images, one sweep as target, rays.

A recipe sets `point_cloud_range` and `radius` in `ray_targets`; see `ponderv2.datasets.SampleRays`.
"""

from mmengine.dataset import DefaultSampler, pseudo_collate

from ponderv2.datasets import (
    LoadCameras,
    LoadLidarSweeps,
    PackSensorInputs,
    PonderNuScenesDataset,
    SampleRays,
)

data_root = "data/nuscenes"
load = [dict(type=LoadCameras), dict(type=LoadLidarSweeps)]
ray_targets = dict(
    type=SampleRays,
    point_cloud_range=(-54.0, -54.0, -5.0, 54.0, 54.0, 3.0),
    radius=(3.0, 100.0),
    rays_per_camera=512,
)
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=DefaultSampler, shuffle=True),
    collate_fn=dict(type=pseudo_collate),
    dataset=dict(
        type=PonderNuScenesDataset,
        data_root=data_root,
        ann_file="nuscenes_infos_train.pkl",
        pipeline=[*load, ray_targets, dict(type=PackSensorInputs)],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=DefaultSampler, shuffle=False),
    collate_fn=dict(type=pseudo_collate),
    dataset=dict(
        type=PonderNuScenesDataset,
        data_root=data_root,
        ann_file="nuscenes_infos_val.pkl",
        test_mode=True,
        # No frame of the validation set is trained on, so all its rays are held out.
        pipeline=[*load, ray_targets | dict(split="all", seed=0), dict(type=PackSensorInputs)],
    ),
)
test_dataloader = val_dataloader
