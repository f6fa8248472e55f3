"""Files that are made once from another: when they are made anew, where they lie, and that one process makes them."""

import errno
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from io import BufferedIOBase
from pathlib import Path

import numpy as np
import pytest

from ponderv2.datasets import derived_file
from ponderv2.datasets.derived_file import Derivation, open_derived
from ponderv2.datasets.mapped_arrays import ArrayWriter, MappedArrays
from ponderv2.errors import UserError


class Lengths:
    """Derives the length of a file, and counts how often, in all processes, in a file of its own."""

    def __init__(self, log: Path, before: Callable[[], object] = lambda: None) -> None:
        self.log, self.before = log, before

    def __call__(self, file: BufferedIOBase, path: Path, writer: ArrayWriter) -> dict[str, np.ndarray]:
        with self.log.open("a") as log:
            log.write(f"{os.getpid()}\n")
        self.before()
        writer.append(b"x" * 100_000)
        return {"content": np.frombuffer(file.read(), dtype=np.uint8)}

    @property
    def count(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture(autouse=True)
def _stored(monkeypatch, tmp_path):
    """Small files are stored as well, and the cache is a folder of the test."""
    monkeypatch.setattr(derived_file, "SMALL_BYTES", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def said(monkeypatch) -> list[str]:
    messages = []
    monkeypatch.setattr(derived_file, "print_log", lambda message, **_: messages.append(message))
    return messages


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "infos.pkl"
    path.write_bytes(b"abc")
    make_old(path)
    return path


@pytest.fixture
def lengths(tmp_path: Path) -> Lengths:
    return Lengths(tmp_path / "log")


def make_old(path: Path) -> None:
    os.utime(path, ns=(time.time_ns() - 10**10,) * 2)


def opened(source: Path, derive: Lengths, layout: int = 1) -> bytes:
    return open_derived(source, Derivation(".lengths", layout, derive))["content"].tobytes()


def test_it_lies_beside_its_source_and_is_made_once(source, lengths):
    assert opened(source, lengths) == opened(source, lengths) == b"abc"
    assert lengths.count == 1
    assert (source.parent / "infos.pkl.lengths").stat().st_size > 100_000
    assert not list(source.parent.glob("*building*"))


def test_a_settled_source_is_not_even_hashed(source, lengths, monkeypatch):
    monkeypatch.setattr(derived_file, "_SETTLED_NS", -1)
    opened(source, lengths)
    monkeypatch.setattr(derived_file, "_HashingFile", None)
    assert opened(source, lengths) == b"abc"


@pytest.mark.parametrize("content", [b"abcd", b"abd"], ids=["other size", "same size"])
def test_a_changed_source_is_derived_from_anew(source, lengths, content):
    opened(source, lengths)
    source.write_bytes(content)
    assert opened(source, lengths) == content
    assert lengths.count == 2


def test_a_change_that_keeps_size_and_time_is_seen(source, lengths):
    opened(source, lengths)
    before = source.stat().st_mtime_ns
    source.write_bytes(b"xyz")
    os.utime(source, ns=(before, before))
    assert opened(source, lengths) == b"xyz"


def test_a_change_within_the_tick_of_the_clock_is_seen(source, lengths, monkeypatch):
    # All times are equal, and have just been.
    monkeypatch.setattr(derived_file, "_times", lambda stat: [now] * 2)
    now = time.time_ns()
    opened(source, lengths)
    source.write_bytes(b"xyz")
    assert opened(source, lengths) == b"xyz"


def test_copies_and_touched_sources_keep_what_was_made(source, lengths, tmp_path):
    opened(source, lengths)
    source.touch()
    assert opened(source, lengths) == b"abc"
    shutil.copytree(source.parent, tmp_path / "copy", copy_function=shutil.copy)
    assert opened(tmp_path / "copy" / source.name, lengths) == b"abc"
    assert lengths.count == 1


@pytest.mark.parametrize(
    "damage",
    [lambda c: c[:-1], lambda c: c[: len(c) // 2], lambda c: b"", lambda c: b"text", lambda c: c[:-1] + b"?"],
    ids=["a byte short", "half", "empty", "text", "a byte changed"],
)
def test_a_torn_or_foreign_file_in_its_place_is_made_anew(source, lengths, damage, said):
    opened(source, lengths)
    place = source.parent / "infos.pkl.lengths"
    place.write_bytes(damage(place.read_bytes()))
    assert opened(source, lengths) == b"abc"
    assert lengths.count == 2
    assert any(f"not used: {place} is no finished file of arrays" in message for message in said)


def test_another_layout_is_made_anew(source, lengths):
    opened(source, lengths)
    opened(source, lengths, layout=2)
    assert lengths.count == 2


def test_what_a_killed_process_left_is_no_matter(source, lengths):
    (source.parent / ".infos.pkl.lengths.building").write_bytes(b"half")
    assert opened(source, lengths) == b"abc"
    assert not list(source.parent.glob("*building*"))


def test_where_the_folder_cannot_be_written_to_it_lies_in_the_cache(source, lengths, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != source.parent)
    assert opened(source, lengths) == opened(source, lengths) == b"abc"
    assert lengths.count == 1
    (place,) = (tmp_path / "cache" / "ponderv2").glob("*/infos.pkl.lengths")
    assert place.stat().st_size > 100_000
    assert [path.name for path in source.parent.iterdir()] == ["infos.pkl"]


def test_sources_of_one_name_share_no_place_in_the_cache(source, lengths, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: "cache" in str(path))
    other = tmp_path / "other" / "infos.pkl"
    other.parent.mkdir()
    other.write_bytes(b"xyz")
    assert (opened(source, lengths), opened(other, lengths), opened(source, lengths)) == (b"abc", b"xyz", b"abc")
    assert lengths.count == 2


def test_without_any_place_it_is_made_in_memory_and_said_so(source, lengths, monkeypatch, said):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert opened(source, lengths) == b"abc"
    assert "make" in said[-1]
    assert "writable, or set XDG_CACHE_HOME" in said[-1]


def test_small_sources_leave_nothing_behind(source, lengths, monkeypatch):
    monkeypatch.setattr(derived_file, "SMALL_BYTES", 3)
    assert opened(source, lengths) == b"abc"
    assert [path.name for path in source.parent.iterdir()] == ["infos.pkl"]


def test_a_full_disk_leaves_nothing_and_the_next_place_is_taken(source, tmp_path, said):
    failures = [OSError(errno.ENOSPC, "No space left on device")]

    def fail_once() -> None:
        if failures:
            raise failures.pop()

    assert opened(source, Lengths(tmp_path / "log", fail_once)) == b"abc"
    assert not list(source.parent.glob("*lengths*building*"))
    assert list((tmp_path / "cache" / "ponderv2").glob("*/infos.pkl.lengths"))
    assert any("cannot be written: No space left on device" in message for message in said)


def test_what_goes_wrong_leaves_nothing_and_is_raised(source, tmp_path):
    def fail() -> None:
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        opened(source, Lengths(tmp_path / "log", fail))
    assert not list(source.parent.glob("*building*"))
    assert not (source.parent / "infos.pkl.lengths").exists()


def test_a_source_that_changes_while_it_is_read_is_refused(source, tmp_path):
    with pytest.raises(UserError, match=r"infos\.pkl was changed while it was read"):
        opened(source, Lengths(tmp_path / "log", lambda: source.write_bytes(b"other")))
    assert not (source.parent / "infos.pkl.lengths").exists()


def test_of_several_processes_one_makes_it_and_the_others_wait(source, tmp_path):
    slow = Lengths(tmp_path / "log", partial(time.sleep, 0.3))
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        results = pool.starmap(opened, [(source, slow)] * 4, chunksize=1)
    assert results == [b"abc"] * 4
    assert slow.count == 1


def test_a_file_system_without_locks_does_as_well(source, lengths, monkeypatch, said):
    def refuse(*_, **__) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(derived_file.FileLock, "acquire", refuse)
    assert opened(source, lengths) == b"abc"
    assert any("without a lock" in message for message in said)


def place_of(source: Path) -> Path:
    return source.with_name(f"{source.name}.lengths")


def test_a_folder_in_its_place_is_left_and_the_cache_is_taken(source, lengths, said, tmp_path):
    place_of(source).mkdir()
    assert opened(source, lengths) == opened(source, lengths) == b"abc"
    assert lengths.count == 2, "once for each place"
    assert any(f"not used: {place_of(source)} is no file" in message for message in said)
    assert list((tmp_path / "cache" / "ponderv2").glob("*/infos.pkl.lengths"))


@pytest.mark.parametrize("kind", ["device", "dangling", "pipe", "circle"])
def test_what_is_no_file_in_its_place_is_replaced(source, lengths, kind):
    place = place_of(source)
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to({"device": "/dev/null", "dangling": source.with_name("gone"), "circle": place}[kind])
    assert opened(source, lengths) == opened(source, lengths) == b"abc"
    assert lengths.count == 1
    assert place.is_file()
    assert not place.is_symlink()


@pytest.mark.parametrize("noted", ["[" * 3000, "[]", "7", "{}", '{"size": null}', "\0"])
def test_a_forged_note_of_the_source_is_made_anew(source, lengths, noted, said):
    opened(source, lengths)
    found = MappedArrays(place_of(source))
    with place_of(source).with_name("forged").open("wb") as out:
        writer = ArrayWriter(out)
        writer.append(found["stream"].tobytes())
        writer.finish({"content": found["content"]}, {**found.metadata, "source": noted})
    place_of(source).with_name("forged").replace(place_of(source))
    assert opened(source, lengths) == b"abc"
    assert lengths.count == 2
    assert any(f"not used: {place_of(source)}" in message for message in said)


def test_what_does_not_pass_its_check_is_made_anew(source, lengths, said):
    def check(arrays: MappedArrays) -> None:
        if lengths.count == 1:
            raise UserError(f"{arrays.name} contradicts itself")

    derivation = Derivation(".lengths", 1, lengths, check)
    for _ in range(3):
        assert open_derived(source, derivation)["content"].tobytes() == b"abc"
    assert lengths.count == 2
    assert any("contradicts itself" in message for message in said)
