"""The command line: outputs, exit codes, and no traceback for what a user can mend."""

from pathlib import Path
from types import ModuleType

import pytest

from ponderv2.datasets import GroundTruthDatabase, load_info_file
from tests.factories.nuscenes_tables import write_tables
from tests.factories.tool_scripts import load_tool


@pytest.fixture
def create_data(repository) -> ModuleType:
    return load_tool(repository, "create_data")


def arguments(root: Path, *more: str, version: str = "v1.0-mini") -> list[str]:
    return ["--root", str(root), "--version", version, "--workers", "1", *more]


def test_everything_is_made_and_listed(create_data, tables_root, tmp_path, capsys):
    assert create_data.main(arguments(tables_root, "--out", str(tmp_path))) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        f"ready: {tmp_path / 'nuscenes_infos_train.pkl'}",
        f"ready: {tmp_path / 'nuscenes_infos_val.pkl'}",
        f"ready: {tmp_path / 'nuscenes_gt_database_train'}",
    ]
    assert GroundTruthDatabase(tmp_path / "nuscenes_gt_database_train").metainfo["lidar_sweeps"] == 9


def test_cameras_need_no_ground_truth_database(create_data, tables_root, tmp_path):
    assert create_data.main(arguments(tables_root, "--out", str(tmp_path), "--no-paste-database")) == 0
    assert not (tmp_path / "nuscenes_gt_database_train").exists()


def test_the_folder_of_the_data_is_where_outputs_go_by_default(create_data, tmp_path):
    root = write_tables(tmp_path / "nuscenes", scenes=("scene-0103",))
    assert create_data.main(arguments(root, "--lidar-sweeps", "1", "--camera-sweeps", "1")) == 0
    frame = load_info_file(root / "nuscenes_infos_val.pkl")["data_list"][0]
    assert (len(frame["lidar_sweeps"]), len(frame["image_sweeps"])) == (1, 1)


@pytest.mark.parametrize(
    ("version", "message"), [("v1.0-trainval", "v1.0-trainval lacks"), ("v2", "unknown version 'v2'")]
)
def test_what_cannot_be_prepared_ends_with_one_line_and_code_2(create_data, tables_root, capsys, version, message):
    assert create_data.main(arguments(tables_root, version=version)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
