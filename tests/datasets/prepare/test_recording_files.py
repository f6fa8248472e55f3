"""Recordings that are empty, cut or of another size than the tables say are refused before anything is made of them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ponderv2.datasets.prepare import InfoSettings, PreparationError, create_info_files, open_tables
from ponderv2.datasets.prepare.recording_files import RecordingFiles
from tests.factories.nuscenes_tables import write_lidarseg, write_tables


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Tables and recordings of one scene, to be damaged."""
    return write_tables(tmp_path / "nuscenes", scenes=("scene-0061",))


def jpeg(width: int, height: int) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def refused(root: Path, message: str) -> None:
    settings = InfoSettings(lidar_sweeps=10, camera_sweeps=1)
    with pytest.raises(PreparationError, match=message + r"[^\n]*$"):
        create_info_files(open_tables(root, "v1.0-mini"), root, settings)
    assert not (root / "nuscenes_infos_train.pkl").exists()


@pytest.mark.parametrize("part", ["samples", "sweeps"])
@pytest.mark.parametrize(
    ("content", "what"), [(b"", "is empty"), (bytes(40_001), "has 40001 bytes, no multiple of 5 float32 values")]
)
def test_a_point_file_without_points_or_with_half_of_one_is_named(root, part, content, what):
    path = sorted((root / part / "LIDAR_TOP").iterdir())[0]
    path.write_bytes(content)
    refused(root, f"^point file .*{path.name} {what}")


@pytest.mark.parametrize("part", ["samples", "sweeps"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"no image", "does not begin as an image does"),
        (jpeg(160, 90)[:-2], "is cut"),
        (jpeg(160, 90)[:4000], "is cut"),
        (jpeg(80, 45), "has 80×45 pixels, the tables say 160×90"),
    ],
    ids=["empty", "text", "without end", "half", "of another size"],
)
def test_an_image_that_is_not_whole_or_not_that_of_the_tables_is_named(root, part, content, what):
    path = sorted((root / part / "CAM_BACK").iterdir())[-1]
    path.write_bytes(content)
    refused(root, f"^image .*{path.name} {what}")


def test_labels_have_one_byte_for_each_point(root):
    labels = write_lidarseg(root)[1]
    count = labels.stat().st_size
    labels.write_bytes(bytes(count - 1))
    refused(root, rf"^labels .*1_lidarseg\.bin have {count - 1} bytes, .* {count} points of .*LIDAR_TOP__6\.pcd\.bin")


def test_labels_are_numbers_of_categories(root):
    labels = write_lidarseg(root)[1]
    labels.write_bytes(labels.read_bytes()[:-1] + bytes([32]))
    refused(
        root, r"^labels .*1_lidarseg\.bin: point \d+ has the label 32, and 1 points have none of the categories 0 to 31"
    )


def test_labels_that_the_tables_name_are_there(root):
    write_lidarseg(root)[2].unlink()
    refused(root, r"^the devkit cannot open .*: there are 2 label files but 3 lidarseg records")


def test_a_key_frame_without_labels_among_others_is_named(root):
    write_lidarseg(root)[2].unlink()
    table = root / "v1.0-mini" / "lidarseg.json"
    table.write_text(json.dumps(json.loads(table.read_text())[:2]))
    refused(root, r"lidarseg\.json has no labels of samples/LIDAR_TOP/.*, the sweep of key frame ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.update(index=5), r"category\.json gives 'vehicle\.truck' the index 5, expected 23; take the"),
        (
            lambda row: row.pop("index"),
            r"^the devkit cannot open .*use the category\.json that comes with nuScenes-lidarseg",
        ),
    ],
    ids=["another number", "without"],
)
def test_categories_are_numbered_officially(root, change, message):
    write_lidarseg(root)
    table = root / "v1.0-mini" / "category.json"
    rows = json.loads(table.read_text())
    change(next(row for row in rows if row["name"] == "vehicle.truck"))
    table.write_text(json.dumps(rows))
    refused(root, message)


def test_a_point_file_that_lost_whole_points_is_found_by_its_labels(root):
    (root / "points.bin").write_bytes(bytes(20 * 9))
    (root / "labels.bin").write_bytes(bytes(10))
    with pytest.raises(PreparationError, match="one of the two is cut"):
        RecordingFiles(root).check_labels("labels.bin", "points.bin")


def test_a_recording_is_looked_at_once(root, monkeypatch):
    opened = []
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **more: opened.append(path.name) or stat(path, **more))
    tables = open_tables(root, "v1.0-mini")
    opened.clear()
    create_info_files(tables, root, InfoSettings(lidar_sweeps=10, camera_sweeps=0))
    recordings = [name for name in opened if "__" in name]
    # 11 sweeps and three key frames of six images.
    assert len(recordings) == len(set(recordings)) == 11 + 3 * 6
