"""A small synthetic data set, made once, and one world to cast rays at."""

from pathlib import Path

import pytest
from filelock import FileLock
from nuscenes import NuScenes

from synthetic_nuscenes import Recording, World, build_world, make_dataset
from synthetic_nuscenes.output.recording import scene_times
from tests.factories.shared_folder import shared_folder

RECORDING = Recording(seed=4, keyframes=2, width=96, height=54)


@pytest.fixture(scope="session")
def synthetic_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a data set with one training and two validation scenes; do not write to it."""
    root = shared_folder(tmp_path_factory) / "synthetic_set"
    with FileLock(root.with_suffix(".lock")):
        make_dataset(root, 3, RECORDING, workers=0, progress=False)
    return root


@pytest.fixture(scope="session")
def synthetic_nuscenes(synthetic_root: Path) -> NuScenes:
    return NuScenes("v1.0-mini", str(synthetic_root), verbose=False)


@pytest.fixture(scope="session")
def world() -> World:
    """The world of the data set's first scene."""
    return build_world(RECORDING.seed, 0, *scene_times(RECORDING.keyframes))
