"""This package ray-casts towns and writes them as nuScenes data sets that the official devkit opens.

`make_dataset` writes one; `build_world` gives one scene to cast rays at.
"""

from .build import build_world
from .camera import Picture, take_picture
from .dataset import make_dataset
from .lidar import PERFECT, LidarErrors, Sweep, sweep
from .recording import Recording
from .synthetic_errors import SyntheticDataError
from .world import World

__all__ = [
    "PERFECT",
    "LidarErrors",
    "Picture",
    "Recording",
    "Sweep",
    "SyntheticDataError",
    "World",
    "build_world",
    "make_dataset",
    "sweep",
    "take_picture",
]
