"""Studies of transfer with factory trainings."""

from pathlib import Path

import pytest

from studies.transfer_study import TransferStudy
from tests.factories.training_runs import DETECTOR, PRETRAINING, Training


@pytest.fixture
def training() -> Training:
    return Training()


@pytest.fixture
def make_study(tmp_path):
    """A study of LiDAR, one fraction and two seeds; arguments change it."""
    for name in ("train.pkl", "val.pkl"):
        (tmp_path / name).write_text(name)
    (tmp_path / "detector.py").write_text(DETECTOR)
    (tmp_path / "pretraining.py").write_text(PRETRAINING)

    def make(**changes) -> TransferStudy:
        arguments = {
            "train_tool": Path("tools/train.py"),
            "data_root": tmp_path,
            "out": tmp_path / "out",
            "models": ("lidar",),
            "fractions": (0.1,),
            "seeds": (0, 1),
            "configs": {"lidar": tmp_path / "detector.py", "camera": tmp_path / "detector.py"},
            "pretrain_configs": {"lidar": tmp_path / "pretraining.py", "camera": tmp_path / "pretraining.py"},
        }
        return TransferStudy(**arguments | changes)

    return make
