"""A temporal detector at test size, and scenes of three key frames for it."""

from pathlib import Path

from mmdet.models.necks import FPN

from ponderv2.datasets import (
    LoadCameras,
    LoadCanBus,
    PackSensorInputs,
    PonderNuScenesDetDataset,
    UnifiedRotScaleTransFlip,
)
from ponderv2.datasets.prepare import InfoSettings, create_info_files, open_tables
from ponderv2.encoders import CameraEncoder, PonderConvNeXt
from ponderv2.heads import UVTRHead
from ponderv2.lifting import DeformableLift
from ponderv2.models import SensorPreprocessor, TemporalDetector
from ponderv2.registry import MODELS
from tests.factories.nuscenes_tables import write_tables

RANGE, SIZE = (-24.0, -24.0, -4.0, 24.0, 24.0, 4.0), (12, 12, 1)
SCENES = ("scene-0061", "scene-0103", "scene-0916")
"""One of mini_train, two of mini_val; the last one is the earliest."""


def write_scenes(root: Path) -> Path:
    """Write tables and info files of nine key frames; returns `root`."""
    write_tables(root, scenes=SCENES)
    create_info_files(open_tables(root, "v1.0-mini"), root, InfoSettings(lidar_sweeps=0))
    return root


def scenes_dataset(root: Path, turn: float = 0.0, can_bus: bool = False, **changes) -> PonderNuScenesDetDataset:
    """The six key frames of the validation scenes, turned at random by at most `turn` radians."""
    pipeline = [
        dict(type=LoadCameras),
        *[dict(type=LoadCanBus)] * can_bus,
        dict(type=UnifiedRotScaleTransFlip, rotation=(-turn, turn)),
        dict(type=PackSensorInputs),
    ]
    arguments = dict(ann_file="nuscenes_infos_val.pkl", test_mode=True, pipeline=pipeline)
    return PonderNuScenesDetDataset(data_root=str(root), **arguments | changes)


def encoder_config(**lift) -> dict:
    return dict(
        type=CameraEncoder,
        grid=dict(point_cloud_range=RANGE, size=SIZE),
        img_backbone=dict(
            type=PonderConvNeXt,
            depths=(1, 1),
            channels=(8, 16),
            out_indices=(1,),
            frozen_stages=-1,
            drop_path_rate=0.0,
            layer_scale=0.1,
        ),
        img_neck=dict(type=FPN, in_channels=[16], out_channels=8, num_outs=1),
        neck_strides=(8,),
        depth_net=None,
        lift=dict(type=DeformableLift, channels=8, size=SIZE, num_levels=1, num_heads=2, num_points=2, history=True)
        | dict(ffn_channels=16)
        | lift,
        channels=8,
    )


def temporal_detector(**encoder) -> TemporalDetector:
    """A detector in evaluation mode whose planes depend on those before."""
    head = dict(type=UVTRHead, in_channels=8, channels=16, num_classes=10, num_queries=12, num_layers=1)
    model = MODELS.build(
        dict(
            type=TemporalDetector,
            encoder=encoder_config() | encoder,
            head=head,
            data_preprocessor=dict(type=SensorPreprocessor),
        )
    )
    return model.eval()
