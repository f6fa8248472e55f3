"""Named benchmarks: their splits and names, the hashes of their bytes, and what is said when those differ."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from nuscenes.utils.splits import create_splits_scenes

from synthetic_nuscenes import Recording, SyntheticDataError, make_dataset
from synthetic_nuscenes.output import benchmarks
from synthetic_nuscenes.output import dataset as module
from synthetic_nuscenes.output.benchmark_check import check_benchmark
from synthetic_nuscenes.output.benchmarks import BENCHMARKS, LABEL_FRACTIONS, Benchmark, stored_hashes
from synthetic_nuscenes.output.dataset import FORMAT, finished_note
from synthetic_nuscenes.output.dataset_hashes import PARTS, dataset_hashes
from synthetic_nuscenes.output.tables import version_and_names
from tests.factories.tool_scripts import load_tool

SMALL = Benchmark(2, 2, 32, 18, 5, "for this test")


@pytest.mark.parametrize(
    ("name", "version", "train", "val", "frames"),
    [("streets-v1", "v1.0-trainval", 100, 25, 100), ("streets-mini", "v1.0-mini", 8, 2, 8)],
)
def test_its_drives_are_in_the_official_splits(name: str, version: str, train: int, val: int, frames: int) -> None:
    benchmark = BENCHMARKS[name]
    found, names = version_and_names(benchmark.scenes)
    splits = create_splits_scenes()
    halves = ("train", "val") if version == "v1.0-trainval" else ("mini_train", "mini_val")
    assert found == version
    assert [len(set(names) & set(splits[half])) for half in halves] == [train, val]
    assert val * benchmark.keyframes == frames


def test_it_has_whole_frames_in_every_label_fraction() -> None:
    frames = 100 * BENCHMARKS["streets-v1"].keyframes
    assert [fraction * frames for fraction in LABEL_FRACTIONS] == [4, 20, 40, 100, 400]


def test_only_stored_hashes_of_this_format_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks, "STORED_HASHES", tmp_path / "hashes.json")
    for name in ("b", "a"):
        benchmarks.store_hashes(tmp_path / "hashes.json", name, 3, {"all": name})
    assert list(json.loads((tmp_path / "hashes.json").read_text())) == ["a", "b"]
    assert stored_hashes("b", 3) == {"all": "b"}
    assert stored_hashes("b", 4) is None
    assert stored_hashes("c", 3) is None
    (tmp_path / "hashes.json").write_text("[]")
    with pytest.raises(SyntheticDataError, match=r"hashes\.json is damaged"):
        stored_hashes("b", 3)
    (tmp_path / "hashes.json").write_text('{"b": "cut"}')
    for read in (lambda: stored_hashes("b", 3), lambda: stored_hashes("c", 3)):
        with pytest.raises(SyntheticDataError, match=r"hashes\.json is damaged \(b is no object\)"):
            read()


def test_hashes_that_cannot_be_written_leave_those_that_were_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmarks.store_hashes(tmp_path / "hashes.json", "a", 3, {"all": "a"})
    before = (tmp_path / "hashes.json").read_text()

    def full(path: Path, text: str) -> None:
        path.write_bytes(text[:5].encode())
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        benchmarks.store_hashes(tmp_path / "hashes.json", "b", 3, {"all": "b"})
    assert (tmp_path / "hashes.json").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["hashes.json"]


def test_the_hashes_of_the_package_can_be_read_and_are_of_benchmarks() -> None:
    entries = json.loads(benchmarks.STORED_HASHES.read_text())
    assert set(entries) <= set(BENCHMARKS)
    for entry in entries.values():
        assert list(entry) == ["format", "all", *PARTS]
        assert all(len(entry[part]) == 64 for part in ("all", *PARTS))


def test_hashes_are_those_of_sha256sum_and_leave_out_what_came_later(tmp_path: Path) -> None:
    content = {"v1.0-mini/scene.json": b"[]", "samples/LIDAR_TOP/a.bin": b"points", "samples/CAM_BACK/a.jpg": b"image"}
    content |= {"synthetic.json": b"{}", "nuscenes_infos_train.pkl": b"later", "sweeps/LIDAR_TOP/é.bin": b""}
    for name, data in content.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)

    def expected(*names: str) -> str:
        lines = "".join(f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in names)
        return hashlib.sha256(lines.encode()).hexdigest()

    sweeps = ("samples/LIDAR_TOP/a.bin", "sweeps/LIDAR_TOP/é.bin")
    assert dataset_hashes(tmp_path, progress=False) == {
        "all": expected("samples/CAM_BACK/a.jpg", *sweeps, "v1.0-mini/scene.json"),
        "tables": expected("v1.0-mini/scene.json"),
        "images": expected("samples/CAM_BACK/a.jpg"),
        "sweeps": expected(*sweeps),
    }


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A benchmark of recordings that take no time; the file of its hashes is its own and empty."""

    def record(root: Path, recording: Recording, scene: int, name: str, version: str) -> dict:
        for folder in ("samples/CAM_FRONT", "sweeps/LIDAR_TOP"):
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / name).write_text(f"{scene} {recording.seed}")
        return {"scene": [{"token": name}]}

    monkeypatch.setattr(module, "record_scene", record)
    monkeypatch.setitem(BENCHMARKS, "streets-mini", SMALL)
    monkeypatch.setattr(benchmarks, "STORED_HASHES", tmp_path / "hashes.json")
    (tmp_path / "hashes.json").write_text("{}")
    assert make_dataset(tmp_path / "set", SMALL.scenes, SMALL.recording(), workers=0, progress=False)
    return tmp_path / "set"


def run(repository: Path, capsys: pytest.CaptureFixture, *words: object) -> tuple[int, str, str]:
    code = load_tool(repository, "make_synthetic_nuscenes").main([str(word) for word in words])
    return code, *capsys.readouterr()


def test_the_note_names_the_benchmark_whatever_way_it_was_made(small: Path) -> None:
    assert finished_note(small)["benchmark"] == "streets-mini"
    make_dataset(small.with_name("other"), 1, SMALL.recording(), workers=0, progress=False)
    assert "benchmark" not in finished_note(small.with_name("other"))


def test_bytes_that_agree_and_bytes_that_differ_are_told_apart(
    small: Path, repository: Path, capsys: pytest.CaptureFixture
) -> None:
    check = ("--out", small, "--check")
    code, said, error = run(repository, capsys, *check)
    assert code == 2
    assert f"no hashes of streets-mini in format {FORMAT} are stored" in said
    assert "nothing was compared" in error
    code, said, _ = run(repository, capsys, *check, "--hashes", benchmarks.STORED_HASHES)
    assert code == 0
    assert "every byte agrees with the stored hashes" in run(repository, capsys, *check)[1]
    next((small / "samples" / "CAM_FRONT").iterdir()).write_text("another last bit")
    code, said, warned = run(repository, capsys, *check)
    assert code == 1
    assert [line.split()[0::2] for line in said.splitlines()[:4]] == [
        ["all", "differs"],
        ["tables", "agrees"],
        ["images", "differs"],
        ["sweeps", "agrees"],
    ]
    assert warned.startswith("warning: ")
    assert "its images differ from the stored hashes" in warned


def test_a_benchmark_is_checked_when_it_is_made(
    small: Path, repository: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_benchmark(small, finished_note(small), benchmarks.STORED_HASHES, progress=False) is None
    assert check_benchmark(small, finished_note(small), progress=False) is True
    shutil.rmtree(small)
    # This process makes the scenes: its recordings are those that take no time.
    monkeypatch.setattr(module, "run_jobs", lambda function, jobs, *_: (function(*job) for job in jobs))
    code, said, _ = run(repository, capsys, "--out", small, "--benchmark", "streets-mini")
    assert code == 0
    assert "2 scenes, 4 key frames" in said
    assert "every byte agrees" in said
    code, said, _ = run(repository, capsys, "--out", small, "--benchmark", "streets-mini")
    assert said == f"{small} is already there, made with the same arguments; --check compares its files\n"
    # Bytes that differ are a warning for who makes a data set, and a failure for who asks about them.
    benchmarks.store_hashes(benchmarks.STORED_HASHES, "streets-mini", FORMAT, dict.fromkeys(("all", *PARTS), "other"))
    shutil.rmtree(small)
    code, _, warned = run(repository, capsys, "--out", small, "--benchmark", "streets-mini")
    assert code == 0
    assert "differ from the stored hashes" in warned
    assert run(repository, capsys, "--out", small, "--benchmark", "streets-mini", "--check")[0] == 1


def test_a_data_set_without_a_name_has_hashes_but_stores_none(
    synthetic_root: Path, repository: Path, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    code, said, _ = run(repository, capsys, "--out", synthetic_root, "--check")
    assert code == 2
    assert "is no benchmark" in said
    code, _, error = run(repository, capsys, "--out", synthetic_root, "--check", "--hashes", tmp_path / "h.json")
    assert code == 2
    assert "--hashes: " in error
