"""Making a data set: the same bytes each time, nothing half-made, errors that say what is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthetic_nuscenes import Recording, SyntheticDataError, make_dataset
from synthetic_nuscenes.output import dataset as module
from synthetic_nuscenes.output.tables import version_and_names
from synthetic_nuscenes.views.preview import draw_preview
from tests.factories.tool_scripts import load_tool

TINY = Recording(seed=5, keyframes=2, width=32, height=18)


def test_worker_processes_give_the_same_bytes_as_this_one(
    synthetic_root: Path, repository: Path, tmp_path: Path
) -> None:
    note = json.loads((synthetic_root / "synthetic.json").read_text())
    size = f"{note['width']}x{note['height']}"
    words = f"--scenes 1 --keyframes {note['keyframes']} --image-size {size} --seed {note['seed']} --workers 2"
    assert load_tool(repository, "make_synthetic_nuscenes").main(["--out", str(tmp_path / "set"), *words.split()]) == 0
    # Scene 0 is the same whether it is alone or one of three.
    files = [p.relative_to(tmp_path / "set") for p in (tmp_path / "set").rglob("*") if p.is_file()]
    blobs = [p for p in files if p.suffix != ".json" or p.parts[0] == "can_bus"]
    assert len(blobs) > 35
    for path in blobs:
        assert (tmp_path / "set" / path).read_bytes() == (synthetic_root / path).read_bytes(), path
    for table in ("sample_data", "sample_annotation", "ego_pose"):
        rows = json.loads((tmp_path / "set" / "v1.0-mini" / f"{table}.json").read_text())
        assert rows == json.loads((synthetic_root / "v1.0-mini" / f"{table}.json").read_text())[: len(rows)]


def test_a_finished_data_set_is_left_alone(synthetic_root: Path) -> None:
    before = (synthetic_root / "synthetic.json").stat().st_mtime_ns
    note = json.loads((synthetic_root / "synthetic.json").read_text())
    recording = Recording(note["seed"], note["keyframes"], note["width"], note["height"])
    assert not make_dataset(synthetic_root, note["scenes"], recording, workers=0, progress=False)
    assert (synthetic_root / "synthetic.json").stat().st_mtime_ns == before


def test_another_data_set_in_the_way_is_refused(synthetic_root: Path) -> None:
    with pytest.raises(SyntheticDataError, match="seed 4 instead of 5"):
        make_dataset(synthetic_root, 3, TINY, workers=0, progress=False)


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(SyntheticDataError, match="not empty and holds no synthetic data set"):
        make_dataset(tmp_path, 1, TINY, workers=0, progress=False)
    (tmp_path / "set.partial").mkdir()
    (tmp_path / "set.partial" / "mine.txt").write_text("keep")
    with pytest.raises(SyntheticDataError, match="in the way"):
        make_dataset(tmp_path / "set", 1, TINY, workers=0, progress=False)


def test_an_interrupted_run_leaves_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    root = tmp_path / "set"
    with monkeypatch.context() as patch:
        patch.setattr(module, "record_scene", stop)
        with pytest.raises(KeyboardInterrupt):
            make_dataset(root, 1, TINY, workers=0, progress=False)
    assert not root.exists()
    assert not list((tmp_path / "set.partial").glob("v1.0*"))
    # The next run ends in the same place.
    monkeypatch.setattr(module, "record_scene", lambda *_: {})
    assert make_dataset(root, 1, TINY, workers=0, progress=False)
    assert not (tmp_path / "set.partial").exists()


@pytest.mark.parametrize(
    ("scenes", "recording", "message"),
    [
        (0, TINY, "scenes: got 0"),
        (1, replace(TINY, keyframes=1), "keyframes: got 1"),
        (1, replace(TINY, seed=-1), "seed: got -1"),
        (1, replace(TINY, width=8), "image size 8x18"),
    ],
)
def test_numbers_out_of_range_are_told(tmp_path: Path, scenes: int, recording: Recording, message: str) -> None:
    with pytest.raises(SyntheticDataError, match=message):
        make_dataset(tmp_path / "set", scenes, recording, workers=0, progress=False)
    assert not list(tmp_path.iterdir())


def test_scenes_have_official_names_and_both_splits() -> None:
    assert version_and_names(2) == ("v1.0-mini", ["scene-0061", "scene-0103"])
    assert sorted(version_and_names(10)[1]) == sorted(set(version_and_names(10)[1]))
    version, names = version_and_names(50)
    assert version == "v1.0-trainval"
    assert len(set(names)) == 50
    with pytest.raises(SyntheticDataError, match="have official names"):
        version_and_names(2000)


def test_the_preview_is_two_small_pictures(synthetic_root: Path, tmp_path: Path) -> None:
    for path in draw_preview(synthetic_root, tmp_path / "preview.png"):
        assert path.stat().st_size < 400_000
        assert np.asarray(Image.open(path).convert("RGB")).std() > 10
