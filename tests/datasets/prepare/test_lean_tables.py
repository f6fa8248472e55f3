"""Tables without the rows that info files have no use for: the same rows otherwise, and the same info files."""

import json
from pathlib import Path

import pytest
from nuscenes import NuScenes

from ponderv2.datasets import load_info_file
from ponderv2.datasets.prepare import InfoSettings, create_info_files, open_tables
from tests.factories.nuscenes_tables import write_tables


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Tables of one scene, with a radar's recordings as well."""
    root = write_tables(tmp_path / "nuscenes", scenes=("scene-0061",))
    folder = root / "v1.0-mini"
    tables = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("sensor", "calibrated_sensor")}
    tables |= {name: json.loads((folder / f"{name}.json").read_text()) for name in ("sample_data", "ego_pose")}
    tables["sensor"].append({"token": "RADAR_FRONT", "channel": "RADAR_FRONT", "modality": "radar"})
    radar = next(row for row in tables["calibrated_sensor"] if row["token"] == "LIDAR_TOP")
    tables["calibrated_sensor"].append(radar | {"token": "RADAR_FRONT", "sensor_token": "RADAR_FRONT"})
    for name in ("sample_data", "ego_pose"):
        lidar = [row for row in tables[name] if "LIDAR_TOP" in row["token"]]
        tables[name] += [json.loads(json.dumps(row).replace("LIDAR_TOP", "RADAR_FRONT")) for row in lidar]
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return root


@pytest.mark.parametrize("camera_sweeps", [True, False])
def test_what_is_kept_is_as_the_devkit_has_it(root, camera_sweeps):
    lean, whole = open_tables(root, "v1.0-mini", camera_sweeps), NuScenes("v1.0-mini", str(root), verbose=False)
    for row in lean.sample_data + lean.ego_pose + lean.sample_annotation + lean.instance + lean.scene:
        table = next(name for name in lean.table_names if row in getattr(lean, name))
        assert whole.get(table, row["token"]) == row
    for sample in lean.sample:
        everything = whole.get("sample", sample["token"])
        assert sample["data"] == {name: token for name, token in everything["data"].items() if "RADAR" not in name}
        assert sample["anns"] == everything["anns"]


@pytest.mark.parametrize(("camera_sweeps", "images"), [(True, 11 * 6), (False, 3 * 6)])
def test_radars_and_images_between_key_frames_are_left_out_with_their_poses(root, camera_sweeps, images):
    tables = open_tables(root, "v1.0-mini", camera_sweeps)
    channels = [recording["channel"] for recording in tables.sample_data]
    assert channels.count("LIDAR_TOP") == 11
    assert len(channels) == 11 + images == len(tables.ego_pose)


def test_info_files_are_the_same(root, tmp_path):
    infos = []
    for k, camera_sweeps in enumerate((True, False)):
        tables = open_tables(root, "v1.0-mini", camera_sweeps)
        infos.append(load_info_file(create_info_files(tables, tmp_path / str(k), InfoSettings())["train"]))
    assert infos[0] == infos[1]
    assert len(infos[0]["data_list"]) == 3


def test_images_that_were_left_out_cannot_be_asked_for(root, tmp_path):
    with pytest.raises(ValueError, match=r"open_tables\(camera_sweeps=False\) left out"):
        create_info_files(open_tables(root, "v1.0-mini", False), tmp_path, InfoSettings(camera_sweeps=1))
