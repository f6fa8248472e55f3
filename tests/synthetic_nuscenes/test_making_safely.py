"""Two makers, kills, a full disk: a data set is whole or not there, and what was recorded is not recorded again."""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tqdm import tqdm

from synthetic_nuscenes import Recording, SyntheticDataError, make_dataset
from synthetic_nuscenes.output import dataset as module
from synthetic_nuscenes.output.maker_lock import lock_file
from synthetic_nuscenes.output.scene_workers import run_jobs
from tests.factories.processes import files_limited_to, forked, is_running, spawned_by, wait_for

TINY = Recording(seed=5, keyframes=2, width=32, height=18)


@pytest.fixture(autouse=True)
def _no_hanging() -> Iterator[None]:
    """A test that hangs fails, instead of stopping all others."""

    def too_long(*_: object) -> None:
        raise TimeoutError("the work hangs")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the scenes that were recorded; a scene is one row here."""
    names = []

    def record(root: Path, recording: Recording, scene: int, name: str, version: str) -> dict:
        names.append(name)
        return {"scene": [{"token": name}]}

    monkeypatch.setattr(module, "record_scene", record)
    return names


def make(root: Path, scenes: int = 3, recording: Recording = TINY) -> bool:
    return make_dataset(root, scenes, recording, workers=0, progress=False)


def interrupted(monkeypatch: pytest.MonkeyPatch, place: object, name: str, call: Callable[[], object]) -> None:
    """Call something that is interrupted where it comes to a function."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, name, interrupt)
        with pytest.raises(KeyboardInterrupt):
            call()


def scenes_of(root: Path) -> list[str]:
    return [row["token"] for row in json.loads((root / "v1.0-mini" / "scene.json").read_text())]


# ------------------------------------------------------------------------------------------- two makers


def test_a_second_maker_ends_at_once_and_names_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "set"

    def forever(*_: object) -> None:
        (tmp_path / "recording").touch()
        time.sleep(60)

    monkeypatch.setattr(module, "record_scene", forever)
    with forked(lambda: make(root), tmp_path / "errors") as other:
        wait_for((tmp_path / "recording").exists)
        with pytest.raises(
            SyntheticDataError, match=rf"^process {other.pid} on {socket.gethostname()} is making .*set already;"
        ):
            make(root)
        assert (tmp_path / "set.partial" / "synthetic.json").is_file()


def test_the_lock_of_a_killed_maker_is_in_nobodys_way(tmp_path: Path, recorded: list[str]) -> None:
    lock_file(tmp_path / "set").write_text("process 1 on somewhere")
    assert make(tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_data_set_that_is_there_needs_no_lock(
    tmp_path: Path, recorded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "set")
    # It may lie where nobody may write.
    monkeypatch.setattr(module, "maker_lock", None)
    assert not make(tmp_path / "set")


# ------------------------------------------------------------------------------------------- going on


def test_an_interrupted_maker_goes_on_with_the_scenes_that_are_missing(
    tmp_path: Path, recorded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, record = tmp_path / "set", module.record_scene

    def killed_at_the_second(*job: object) -> dict:
        if len(recorded) == 1:
            raise KeyboardInterrupt
        return record(*job)

    with monkeypatch.context() as patch:
        patch.setattr(module, "record_scene", killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            make(root)
    assert recorded == ["scene-0061"]
    assert make(root)
    assert recorded == ["scene-0061", "scene-0103", "scene-0916"] == scenes_of(root)
    assert sorted(path.name for path in root.iterdir()) == ["synthetic.json", "v1.0-mini"]


def test_other_arguments_start_anew(tmp_path: Path, recorded: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "set"
    interrupted(monkeypatch, module, "write_rows", lambda: make(root, scenes=2))
    recorded.clear()
    make(root, scenes=1)
    assert recorded == ["scene-0061"] == scenes_of(root)


@pytest.mark.parametrize("step", ["rmtree", "rename"])
def test_a_maker_that_was_killed_at_its_end_has_nothing_to_record(
    tmp_path: Path, recorded: list[str], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    root = tmp_path / "set"
    interrupted(monkeypatch, *((shutil, "rmtree") if step == "rmtree" else (Path, "rename")), lambda: make(root))
    recorded.clear()
    assert make(root)
    assert recorded == []
    assert sorted(path.name for path in root.iterdir()) == ["synthetic.json", "v1.0-mini"]


@pytest.mark.parametrize("damaged", ["{", "[]"])
def test_a_damaged_note_is_named(tmp_path: Path, recorded: list[str], damaged: str) -> None:
    make(tmp_path / "set")
    (tmp_path / "set" / "synthetic.json").write_text(damaged)
    with pytest.raises(SyntheticDataError, match=r"synthetic\.json is damaged .*; delete"):
        make(tmp_path / "set")


# ------------------------------------------------------------------------------------------- no space


def test_without_space_the_file_is_named_and_there_is_no_data_set(tmp_path: Path) -> None:
    root = tmp_path / "set"
    with files_limited_to(30_000), pytest.raises(OSError, match="File too large") as caught:
        make(root, scenes=1)
    assert caught.value.filename.endswith(".pcd.bin")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set.partial"]
    assert not list(tmp_path.rglob("*.unfinished"))


# ------------------------------------------------------------------------------------------- workers


def test_a_worker_that_is_killed_ends_the_work_with_one_line() -> None:
    with pytest.raises(SyntheticDataError, match=r"^a worker process was killed, .*fewer --workers than 2[^\n]*$"):
        list(run_jobs(os._exit, [(1,), (1,)], 2, tqdm(disable=True)))


def _be_seen_and_sleep(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(60)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_its_parent_or_speaks_for_it(tmp_path: Path, how: signal.Signals) -> None:
    def work() -> None:
        try:
            list(run_jobs(_be_seen_and_sleep, [(started,)] * 2, 2, tqdm(disable=True)))
        except KeyboardInterrupt:
            os._exit(130)

    started = tmp_path / "started"
    started.mkdir()
    with forked(work, tmp_path / "errors") as parent:
        # A process that dies while Python starts its child leaves that with half a start, and a traceback of Python.
        wait_for(lambda: len(list(started.iterdir())) == 2)
        workers = spawned_by(parent.pid)
        # As a terminal does for Ctrl-C: to the whole group.
        (os.killpg if how == signal.SIGINT else os.kill)(parent.pid, how)
        parent.join(20)
        assert parent.exitcode == (130 if how == signal.SIGINT else -how)
        wait_for(lambda: not any(map(is_running, workers)))
    assert "Traceback" not in (tmp_path / "errors").read_text()
