"""Two processes never make outputs in one folder, and the lock of a process that is gone is in nobody's way."""

import fcntl
import os
import socket
import time
from pathlib import Path

import pytest

from ponderv2.datasets.prepare import InfoSettings, create_gt_database, create_info_files
from ponderv2.datasets.prepare.preparation_lock import LOCK_NAME
from ponderv2.datasets.prepare.preparation_lock import preparation_lock as folder_lock
from ponderv2.folder_lock import FolderInUseError
from tests.factories.processes import forked, wait_for


def hold(folder: Path) -> None:
    with folder_lock(folder):
        (folder / "held").touch()
        time.sleep(60)


def test_a_second_maker_ends_at_once_and_names_the_first(tables, tables_root, prepared, tmp_path):
    out = tmp_path / "out"
    with forked(lambda: hold(out), tmp_path / "errors") as other:
        wait_for((out / "held").exists)
        holder = rf"^process {other.pid} on {socket.gethostname()} is making data in .*out already; .*another --out$"
        with pytest.raises(FolderInUseError, match=holder):
            create_info_files(tables, out, InfoSettings())
        with pytest.raises(FolderInUseError, match=holder):
            create_gt_database(prepared / "nuscenes_infos_train.pkl", tables_root, out)
        assert sorted(path.name for path in out.iterdir()) == [LOCK_NAME, "held"]


def test_the_lock_of_a_killed_process_is_in_nobodys_way(tmp_path):
    with forked(lambda: hold(tmp_path), tmp_path / "errors") as other:
        wait_for((tmp_path / "held").exists)
        other.kill()
        other.join()
    assert (tmp_path / LOCK_NAME).is_file()
    with folder_lock(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"process {os.getpid()} on {socket.gethostname()}"
    assert not (tmp_path / LOCK_NAME).exists()


def test_blocks_of_one_process_nest(tmp_path):
    with folder_lock(tmp_path):
        with folder_lock(tmp_path / "." / "sub" / ".."):
            pass
        assert (tmp_path / LOCK_NAME).exists()
    assert not (tmp_path / LOCK_NAME).exists()


def test_a_lock_file_that_was_deleted_between_opening_and_locking_guards_nothing(tmp_path, monkeypatch):
    locked = fcntl.lockf

    def deleted_at_first(lock: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "lockf", locked)
        (tmp_path / LOCK_NAME).unlink()
        locked(lock, how)

    monkeypatch.setattr(fcntl, "lockf", deleted_at_first)
    with folder_lock(tmp_path):
        assert (tmp_path / LOCK_NAME).exists()


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def none(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "lockf", none)
    with pytest.warns(UserWarning, match="has no locks"), folder_lock(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_to_is_an_error_with_its_name(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file") as caught, folder_lock(tmp_path / "file"):
        pass
    assert caught.value.filename == str(tmp_path / "file")
