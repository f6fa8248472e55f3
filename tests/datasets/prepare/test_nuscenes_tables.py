"""Data sets that cannot be prepared give one error that says what is missing where."""

import json
import shutil
from pathlib import Path

import pytest

from ponderv2.datasets.prepare import PreparationError, open_tables
from ponderv2.datasets.prepare.nuscenes_tables import fingerprint, scenes_by_split
from tests.factories.nuscenes_tables import write_tables


@pytest.fixture
def root(tables_root: Path, tmp_path: Path) -> Path:
    """Tables of one's own, without recordings."""
    shutil.copytree(tables_root / "v1.0-mini", tmp_path / "v1.0-mini")
    shutil.copytree(tables_root / "maps", tmp_path / "maps")
    return tmp_path


def test_an_unknown_version_is_named_with_the_known_ones(root):
    with pytest.raises(
        PreparationError, match=r"unknown version 'v1\.1'; expected one of \['v1\.0-mini', 'v1\.0-test'"
    ):
        open_tables(root, "v1.1")


def test_a_root_that_is_no_folder_is_named(tmp_path):
    with pytest.raises(PreparationError, match=r"--root .*nowhere is not a folder"):
        open_tables(tmp_path / "nowhere", "v1.0-mini")


def test_a_root_without_tables_says_what_was_expected(tmp_path):
    with pytest.raises(PreparationError, match=r"v1\.0-mini lacks category\.json, attribute\.json, .* and more: expec"):
        open_tables(tmp_path, "v1.0-mini")


def test_a_root_with_another_version_says_which(root):
    with pytest.raises(PreparationError, match=r"v1\.0-trainval lacks category\.json.*; .* has v1\.0-mini"):
        open_tables(root, "v1.0-trainval")


def test_a_root_that_holds_the_tables_itself_says_so(root):
    with pytest.raises(PreparationError, match=r"v1\.0-mini holds tables itself: --root is the folder above"):
        open_tables(root / "v1.0-mini", "v1.0-mini")


def test_a_missing_table_is_named(root):
    (root / "v1.0-mini" / "ego_pose.json").unlink()
    with pytest.raises(PreparationError, match=r"v1\.0-mini lacks ego_pose\.json: expected the unpacked"):
        open_tables(root, "v1.0-mini")


@pytest.mark.parametrize("content", ["", "[{]"], ids=["empty", "damaged"])
def test_a_damaged_table_is_an_error_of_the_data_set(root, content):
    (root / "v1.0-mini" / "scene.json").write_text(content)
    with pytest.raises(PreparationError, match=r"the devkit cannot open .*v1\.0-mini: JSONDecodeError"):
        open_tables(root, "v1.0-mini")


def test_a_missing_map_is_an_error_of_the_data_set(root):
    (root / "maps" / "map.png").unlink()
    with pytest.raises(PreparationError, match=r"the devkit cannot open .*map\.png"):
        open_tables(root, "v1.0-mini")


def test_scenes_outside_the_official_splits_are_named(tmp_path):
    root = write_tables(tmp_path / "nuscenes", scenes=("scene-9999",))
    with pytest.raises(PreparationError, match=r"no scene of v1\.0-mini is in an official split; .*scene-9999"):
        scenes_by_split(open_tables(root, "v1.0-mini"))


def test_a_split_without_scenes_is_left_out(tmp_path):
    root = write_tables(tmp_path / "nuscenes", scenes=("scene-0103",))
    assert list(scenes_by_split(open_tables(root, "v1.0-mini"))) == ["val"]


def test_the_fingerprint_follows_the_content_of_the_tables(root, tables_root):
    before = fingerprint(root, "v1.0-mini")
    assert before == fingerprint(tables_root, "v1.0-mini")
    path = root / "v1.0-mini" / "sample.json"
    samples = json.loads(path.read_text())
    samples[0]["timestamp"] += 1
    path.write_text(json.dumps(samples))
    assert fingerprint(root, "v1.0-mini") != before
