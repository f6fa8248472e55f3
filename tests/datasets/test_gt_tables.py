"""Tables of objects have what the index has, and are refused when they are not as expected."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from ponderv2.datasets import GroundTruthDatabase, derived_file, gt_tables
from ponderv2.datasets.gt_tables import ROW, GroundTruthTables
from ponderv2.datasets.mapped_arrays import ArrayWriter, MappedArrays
from ponderv2.errors import UserError
from tests.factories.gt_database import gt_object, write_gt_database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    objects = [
        gt_object("car", [1.0, 2.0, 3.0, 4.0, 1.8, 1.6, 0.5], sample_token="a", camera="CAM_FRONT_RIGHT"),
        gt_object("bus", [0.1] * 7, velocity=(None, None), num_points=7, sample_token="b"),
        gt_object("car", [9.0] * 7, sample_token="b", camera="CAM_BACK"),
    ]
    return write_gt_database(tmp_path / "database", objects)


@pytest.mark.parametrize("small", [0, 10**9], ids=["in a file", "in memory"])
def test_rows_are_the_entries_of_the_index(folder, monkeypatch, small):
    monkeypatch.setattr(derived_file, "SMALL_BYTES", small)
    tables, database = GroundTruthTables(folder), GroundTruthDatabase(folder)
    assert list(tables) == list(database.objects)
    assert tables.files == database.files
    for name, entries in database.objects.items():
        assert len(tables[name]) == len(entries)
        for row, entry in zip(tables[name], entries, strict=True):
            assert row["box"].tolist() == entry["bbox_3d"]
            np.testing.assert_array_equal(row["velocity"], np.array(entry["velocity"], dtype=np.float32))
            assert (row["first_point"], row["num_points"]) == (entry["first_point"], entry["num_points"])
            crop = entry["crop"] or {"camera": "", "first_byte": 0, "num_bytes": 0}
            assert row["camera"].decode() == crop["camera"]
            assert (row["first_byte"], row["num_bytes"]) == (crop["first_byte"], crop["num_bytes"])
    assert (folder / "index.pkl.tables").exists() == (small == 0)


def test_objects_are_found_by_the_tokens_of_their_frames(folder):
    tables = GroundTruthTables(folder)
    assert tables.knows_frames
    assert tables.from_frames("car", {"b", "c"}).tolist() == [False, True]
    assert tables.from_frames("car", set()).tolist() == [False, False]
    assert tables.from_frames("barrier", {"b"}).tolist() == []
    with pytest.raises(KeyError):
        tables["cars"]


@pytest.mark.parametrize("wrong", ["ends", "width", "frame"])
def test_tables_that_lead_outside_are_refused(folder, monkeypatch, wrong):
    rows = np.zeros(2, dtype=ROW)
    rows["frame"] = 1 if wrong == "frame" else 0
    out = io.BytesIO()
    writer = ArrayWriter(out)
    ends = {"car": 3 if wrong == "ends" else 2}
    writer.append(json.dumps({"metainfo": {"lidar_files": {}}, "ends": ends}).encode())
    values = rows.view(np.uint8).reshape(2, ROW.itemsize)
    values = np.ascontiguousarray(values[:, :-1]) if wrong == "width" else values
    writer.finish({"rows": values, "frames": np.zeros((1, 4), dtype=np.uint8)}, {})
    monkeypatch.setattr(gt_tables, "open_derived", lambda *_: MappedArrays(out.getvalue()))
    with pytest.raises(UserError, match="is no table of objects"):
        GroundTruthTables(folder)


def test_tables_that_lead_outside_are_made_anew(folder, monkeypatch):
    monkeypatch.setattr(derived_file, "SMALL_BYTES", 0)
    GroundTruthTables(folder)
    place = folder / "index.pkl.tables"
    found = MappedArrays(place)
    with place.with_name("forged").open("wb") as out:
        writer = ArrayWriter(out)
        writer.append(found["stream"].tobytes())
        writer.finish({"rows": found["rows"][:1], "frames": found["frames"]}, found.metadata)
    place.with_name("forged").replace(place)
    assert len(GroundTruthTables(folder)["car"]) == 2
    assert len(MappedArrays(place)["rows"]) == 3
