"""A factory key frame as the data set hands it to a pipeline; factory tables, and what is prepared from them."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from nuscenes import NuScenes

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PonderNuScenesDataset, load_info_file
from ponderv2.datasets.prepare import InfoSettings, create_gt_database, create_info_files, open_tables
from tests.factories.keyframe import INFO_NAME
from tests.factories.lidarseg import write_labeled_frames
from tests.factories.nuscenes_tables import write_tables


@pytest.fixture(scope="session")
def dataset(frame_root: Path) -> PonderNuScenesDataset:
    """The factory key frame, with an empty pipeline."""
    return PonderNuScenesDataset(data_root=str(frame_root), ann_file=INFO_NAME, pipeline=[])


@pytest.fixture
def frame(dataset: PonderNuScenesDataset) -> dict:
    """What a pipeline starts from; a copy."""
    return dataset.get_data_info(0)


@pytest.fixture(scope="session")
def load(dataset: PonderNuScenesDataset) -> Callable[..., dict]:
    """Loads images (with `decode`), calibration, points and boxes of the key frame, anew at every call."""

    def loaded(decode: bool = True) -> dict:
        results = dataset.get_data_info(0)
        results["gt_bboxes_3d"] = results["ann_info"]["gt_bboxes_3d"]
        results["gt_labels_3d"] = results["ann_info"]["gt_labels_3d"]
        return LoadLidarSweeps()(LoadCameras(decode=decode, image_size=(90, 160))(results))

    return loaded


@pytest.fixture(scope="session")
def tables_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of factory tables and recordings; do not write to it."""
    return write_tables(tmp_path_factory.mktemp("tables") / "nuscenes")


@pytest.fixture(scope="session")
def tables(tables_root: Path) -> NuScenes:
    """The tables, opened by the devkit."""
    return open_tables(tables_root, "v1.0-mini")


@pytest.fixture(scope="session")
def prepared(tables: NuScenes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the info files and the ground-truth database; do not write to it."""
    out = tmp_path_factory.mktemp("prepared")
    files = create_info_files(tables, out, InfoSettings(lidar_sweeps=10, camera_sweeps=2))
    create_gt_database(files["train"], Path(tables.dataroot), out)
    return out


@pytest.fixture(scope="session")
def train_info(prepared: Path) -> dict:
    """Content of the info file for training; do not change it."""
    return load_info_file(prepared / "nuscenes_infos_train.pkl")


@pytest.fixture
def changed(train_info: dict, tmp_path: Path) -> Callable[..., Path]:
    """Writes the info file with every key frame put through a function; returns its path."""

    def write(change: Callable[[dict], object], info: dict | None = None) -> Path:
        content = copy.deepcopy(train_info if info is None else info)
        for frame in content["data_list"]:
            change(frame)
        path = tmp_path / "changed.pkl"
        path.write_bytes(pickle.dumps(content))
        return path

    return write


@pytest.fixture(scope="session")
def labeled_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of four key frames with labels of points and their info file; do not write to it."""
    root = tmp_path_factory.mktemp("labeled")
    write_labeled_frames(root)
    return root


@pytest.fixture
def own_labeled_root(tmp_path: Path) -> Path:
    """The same, to be changed."""
    write_labeled_frames(tmp_path / "labeled")
    return tmp_path / "labeled"
