"""The made-up key frame as the dataset hands it to a pipeline."""

from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_frame import INFO_NAME

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PonderNuScenesDataset


@pytest.fixture(scope="session")
def dataset(frame_root: Path) -> PonderNuScenesDataset:
    """The made-up key frame, with an empty pipeline."""
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
