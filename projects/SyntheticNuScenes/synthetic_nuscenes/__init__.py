"""This package ray-casts towns and writes them as nuScenes data sets that the official devkit opens.

`make_dataset` writes one; `build_world` gives one scene to cast rays at. Importing this package imports nothing else;
its parts are imported when they are first asked for, so that command lines answer at once.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .build import build_world
    from .output.dataset import make_dataset
    from .output.recording import Recording
    from .sensors.camera import Picture, take_picture
    from .sensors.camera_effects import EXACT, CameraEffects
    from .sensors.lidar import PERFECT, LidarErrors, Sweep, sweep
    from .synthetic_errors import SyntheticDataError
    from .world import World

_PLACES = {
    "CameraEffects": "sensors.camera_effects",
    "EXACT": "sensors.camera_effects",
    "PERFECT": "sensors.lidar",
    "LidarErrors": "sensors.lidar",
    "Picture": "sensors.camera",
    "Recording": "output.recording",
    "Sweep": "sensors.lidar",
    "SyntheticDataError": "synthetic_errors",
    "World": "world",
    "build_world": "build",
    "make_dataset": "output.dataset",
    "sweep": "sensors.lidar",
    "take_picture": "sensors.camera",
}

__all__ = [
    "EXACT",
    "PERFECT",
    "CameraEffects",
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


def __getattr__(name: str) -> object:
    """Import the module of a public name when it is first asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)
