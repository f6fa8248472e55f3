"""What may be replaced and what not; what is there stays whole until its successor is."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ponderv2.datasets import GroundTruthDatabase, load_info_file
from ponderv2.datasets.prepare import (
    InfoSettings,
    PreparationError,
    create_gt_database,
    create_info_files,
    gt_database_writer,
    infos,
    open_tables,
)
from ponderv2.datasets.prepare.parts import read_part, run_in_parts
from ponderv2.datasets.prepare.prepared_output import Record
from tests.factories.nuscenes_tables import write_lidarseg, write_tables
from tests.factories.processes import files_limited_to

TRAIN = "nuscenes_infos_train.pkl"
DATABASE = "nuscenes_gt_database_train"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Tables and recordings of one training scene, to be changed."""
    return write_tables(tmp_path / "nuscenes", scenes=("scene-0061",))


def create(root: Path, out: Path, overwrite: bool = False, **settings) -> Path:
    settings = InfoSettings(**{"lidar_sweeps": 0} | settings)
    return create_info_files(open_tables(root, "v1.0-mini"), out, settings, overwrite=overwrite)["train"]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def interrupted(monkeypatch, place: object, name: str, call: Callable[[], object]) -> None:
    """Call something that is interrupted where it comes to a function."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, name, interrupt)
        with pytest.raises(KeyboardInterrupt):
            call()


# ------------------------------------------------------------------------------------------- replacing


def add_can_bus(root: Path) -> None:
    (root / "can_bus" / "scene-0061_pose.json").write_text("[]")


def add_map(root: Path) -> None:
    (root / "maps" / "expansion").mkdir()
    (root / "maps" / "expansion" / "boston-seaport.json").write_text("{}")


@pytest.mark.parametrize(
    ("name", "add"),
    [("can_bus", add_can_bus), ("lidarseg", write_lidarseg), ("maps", add_map)],
    ids=["can_bus", "lidarseg", "maps"],
)
def test_what_was_added_to_the_data_makes_other_info_files(root, tmp_path, name, add):
    shutil.rmtree(root / "can_bus")
    (root / "can_bus").mkdir()
    path = create(root, tmp_path)
    before = path.read_bytes()
    add(root)
    words = rf"{TRAIN} was made from other data .*{name} .*(, now | changed).*--overwrite"
    with pytest.raises(PreparationError, match=words) as caught:
        create(root, tmp_path)
    assert not re.search("[0-9a-f]{8}", str(caught.value).partition("(")[2]), "a hash tells nothing"
    assert path.read_bytes() == before
    create(root, tmp_path, overwrite=True)
    assert create(root, tmp_path) == path


def test_a_foreign_info_file_is_not_replaced_by_what_goes_on_with_parts(root, tmp_path, monkeypatch):
    interrupted(monkeypatch, infos, "_join", lambda: create(root, tmp_path))
    assert list((tmp_path / "parts").rglob("*.pkl"))
    (tmp_path / TRAIN).write_bytes(b"precious")
    with pytest.raises(PreparationError, match="was made by another tool"):
        create(root, tmp_path)
    assert (tmp_path / TRAIN).read_bytes() == b"precious"


def test_an_info_file_that_was_changed_since_is_not_replaced_nor_taken_for_finished(root, tmp_path):
    path = create(root, tmp_path)
    changed = bytearray(path.read_bytes())
    changed[-40] ^= 1
    path.write_bytes(changed)
    with pytest.raises(PreparationError, match="changed since it was made; give --overwrite"):
        create(root, tmp_path)
    assert path.read_bytes() == changed


def test_a_copy_with_another_time_is_known_by_its_content(root, tmp_path, capsys):
    path = create(root, tmp_path)
    os.utime(path, (1, 1))
    create(root, tmp_path)
    assert "is finished" in capsys.readouterr().out


def test_a_database_is_known_by_its_files_whatever_is_beside_them(root, tmp_path, capsys):
    path = create(root, tmp_path)
    database = create_gt_database(path, root, tmp_path)
    (database / "index.pkl.tables").write_bytes(b"of a reader")
    create_gt_database(path, root, tmp_path)
    assert f"{DATABASE} is finished" in capsys.readouterr().out
    (database / "lidar_car.bin").write_bytes(b"changed")
    with pytest.raises(PreparationError, match=f"{DATABASE} was made by another tool .*changed since"):
        create_gt_database(path, root, tmp_path)


def test_overwrite_makes_everything_anew_parts_as_well(root, tmp_path, monkeypatch):
    path = create(root, tmp_path)
    database = create_gt_database(path, root, tmp_path)
    scenes = []
    for module in (infos, gt_database_writer):

        def noted(job, tasks, folder, *more):
            assert not list(folder.rglob("*.pkl"))
            scenes.extend(tasks)
            return run_in_parts(job, tasks, folder, *more)

        monkeypatch.setattr(module, "run_in_parts", noted)
    # Parts of an earlier run, as they are named, with content that must not come back.
    made = set()
    for output in (path, database):
        stale = tmp_path / "parts" / f"{output.stem}_0123456789ab"
        stale.mkdir(parents=True)
        (stale / "scene-0061.pkl").write_bytes(b"\x80\x04].")
        made.add(stale)
    create(root, tmp_path, overwrite=True)
    create_gt_database(path, root, tmp_path, overwrite=True)
    assert scenes == ["scene-0061"] * 2
    assert len(load_info_file(path)["data_list"]) == 3
    assert not any(stale.exists() for stale in made)


def test_an_interrupted_overwriting_goes_on_without_the_option(root, tmp_path, monkeypatch):
    path = create(root, tmp_path)
    before = path.read_bytes()
    interrupted(monkeypatch, infos, "_join", lambda: create(root, tmp_path, overwrite=True, lidar_sweeps=1))
    assert path.read_bytes() == before
    create(root, tmp_path, lidar_sweeps=1)
    assert load_info_file(path)["metainfo"]["lidar_sweeps"] == 1


def test_a_run_that_was_killed_before_it_noted_its_output_goes_on(root, tmp_path, monkeypatch):
    interrupted(monkeypatch, Record, "add", lambda: create(root, tmp_path))
    assert not (tmp_path / "prepared.json").exists()
    path = create(root, tmp_path)
    assert sorted(found.name for found in path.parent.iterdir() if found != root) == [TRAIN, "prepared.json"]


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"nuscenes_infos_train.pkl": 1}', b"\xff\xfe"])
def test_a_damaged_record_is_named_before_anything_is_made(root, tmp_path, damaged):
    create(root, tmp_path)
    (tmp_path / "prepared.json").write_bytes(damaged)
    for overwrite in (False, True):
        with pytest.raises(PreparationError, match=r"prepared\.json, which notes .*is damaged .*delete it[^\n]*$"):
            create(root, tmp_path, overwrite=overwrite)
        assert not (tmp_path / "parts").exists()


# ------------------------------------------------------------------------------------------- no space


def test_without_space_the_earlier_info_file_stays_and_nothing_is_left_over(root, tmp_path, monkeypatch):
    path = create(root, tmp_path)
    before = path.read_bytes()
    interrupted(monkeypatch, infos, "_join", lambda: create(root, tmp_path, overwrite=True, lidar_sweeps=1))
    with files_limited_to(4000), pytest.raises(OSError, match="File too large") as caught:
        create(root, tmp_path, lidar_sweeps=1)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert not list(tmp_path.rglob("*.unfinished"))
    assert list((tmp_path / "parts").rglob("scene-0061.pkl"))


@pytest.mark.parametrize("error", ["no space", "interruption"])
def test_the_earlier_database_stays_whole_until_the_new_one_is(root, tmp_path, monkeypatch, error):
    path = create(root, tmp_path, lidar_sweeps=1)
    database = create_gt_database(path, root, tmp_path, lidar_sweeps=0)
    before = content(database)
    interrupted(
        monkeypatch,
        gt_database_writer,
        "_join",
        lambda: create_gt_database(path, root, tmp_path, lidar_sweeps=1, overwrite=True),
    )
    if error == "no space":
        with files_limited_to(4000), pytest.raises(OSError, match="File too large") as caught:
            create_gt_database(path, root, tmp_path, lidar_sweeps=1)
        assert caught.value.filename == str(database)
    assert content(database) == before
    assert not list(tmp_path.rglob("*.unfinished"))
    GroundTruthDatabase(create_gt_database(path, root, tmp_path, lidar_sweeps=1))
    assert content(database) != before
    assert not [found.name for found in tmp_path.iterdir() if found.name.startswith(".") or found.name == "parts"]


def test_what_a_killed_run_had_begun_to_write_is_deleted(root, tmp_path):
    (tmp_path / f".{TRAIN}.12345.unfinished").write_bytes(b"half")
    (tmp_path / f".{DATABASE}.12345.unfinished").mkdir()
    create(root, tmp_path)
    assert not list(tmp_path.rglob("*.unfinished"))


# ------------------------------------------------------------------------------------------- parts


@pytest.mark.parametrize("cut", [0, 1, 10])
def test_a_part_that_was_cut_is_made_anew(tmp_path, cut):
    (part,) = run_in_parts(str, {"task": 12345678901234567890}, tmp_path, 1, "work")
    whole = part.read_bytes()
    part.write_bytes(whole[:cut])
    run_in_parts(str, {"task": 12345678901234567890}, tmp_path, 1, "work")
    assert part.read_bytes() == whole


def test_a_part_that_is_damaged_inside_is_named_and_made_anew_by_the_next_run(tmp_path):
    (part,) = run_in_parts(str, {"task": 1}, tmp_path, 1, "work")
    part.write_bytes(b"\x80\x04" + bytes(20) + b".")
    with pytest.raises(PreparationError, match=r"task\.pkl was damaged .*start the same command"):
        read_part(part)
    assert read_part(run_in_parts(str, {"task": 1}, tmp_path, 1, "work")[0]) == "1"
