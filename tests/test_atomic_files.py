"""A disk that is full, a kill, an interruption: what was there stays, and nothing is left over."""

import os

import pytest

from ponderv2.atomic_files import put_in_place, restore, write_atomically
from tests.factories.processes import files_limited_to


def test_without_space_the_earlier_file_stays_and_the_error_has_its_name(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"earlier")
    with files_limited_to(10_000_000), pytest.raises(OSError, match="File too large") as caught:
        write_atomically(path, bytes(11_000_000))
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"earlier"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"content")
    assert not list(tmp_path.iterdir())


def test_content_is_on_the_disk_before_it_has_the_name(tmp_path, monkeypatch):
    synced = []
    sync, replace = os.fsync, os.replace

    def checked(new, path):
        assert synced == [b"content"]
        replace(new, path)

    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.pread(file, 100, 0)), sync(file)))
    monkeypatch.setattr(os, "replace", checked)
    write_atomically(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    put_in_place(tmp_path / "new", tmp_path / "old")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["old", "old/new"]


def test_a_folder_comes_back_when_its_successor_did_not_come(tmp_path, monkeypatch):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    rename = os.rename

    def killed_at_the_second(source, target):
        monkeypatch.setattr(os, "rename", killed)
        rename(source, target)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        put_in_place(tmp_path / "new", tmp_path / "old")
    monkeypatch.setattr(os, "rename", rename)
    assert not (tmp_path / "old").exists()
    restore(tmp_path / "old")
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["old"]
