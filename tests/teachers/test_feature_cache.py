"""The cache of features: what is there is read, a limit, damage, and processes that share a folder or are killed."""

import multiprocessing
import os
import shutil
import signal

import numpy as np
import pytest
import torch

from ponderv2.errors import UserError
from ponderv2.teachers import FeatureCache

MAP = torch.arange(24.0).reshape(2, 3, 4)
SIZE = 310
"""Bytes of a file of 24 numbers at most: a zip archive of one array."""


def test_what_was_put_is_read_again_by_another_cache_of_the_folder(tmp_path):
    assert FeatureCache(tmp_path).get("ab1", MAP.shape) is None
    assert FeatureCache(tmp_path).put("ab1", MAP)
    found = FeatureCache(tmp_path).get("ab1", MAP.shape)
    assert found.dtype == torch.float16
    assert torch.equal(found.float(), MAP)


def test_the_limit_holds_and_what_is_there_stays(tmp_path):
    cache = FeatureCache(tmp_path, limit=3.5 * SIZE / 1e9)
    kept = [cache.put(f"{k:02d}", MAP) for k in range(6)]
    assert kept == [True] * 3 + [False] * 3
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*")) <= 3.5 * SIZE
    assert all(cache.get(f"{k:02d}", MAP.shape) is not None for k in range(3))
    # Another process finds it full, too; and with a higher limit there is room.
    assert not FeatureCache(tmp_path, limit=3.5 * SIZE / 1e9).put("09", MAP)
    assert FeatureCache(tmp_path, limit=1).put("09", MAP)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:150] + b"xx" + b[152:]])
def test_a_damaged_file_is_a_miss_and_is_written_anew(tmp_path, damage):
    cache = FeatureCache(tmp_path)
    cache.put("ab1", MAP)
    (path,) = tmp_path.glob("*/*.npz")
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get("ab1", MAP.shape) is None
    assert cache.put("ab1", MAP)
    assert torch.equal(cache.get("ab1", MAP.shape).float(), MAP)


@pytest.mark.parametrize(
    "found",
    [
        np.array([print], dtype=object),
        np.array("text"),
        np.zeros(7, np.float16),
        MAP.numpy(),
        np.full(MAP.shape, np.nan, np.float16),
    ],
)
def test_what_is_no_map_of_the_shape_is_a_miss_and_objects_are_not_unpickled(tmp_path, found):
    cache = FeatureCache(tmp_path)
    cache.put("ab1", MAP)
    (path,) = tmp_path.glob("*/*.npz")
    np.savez(path, features=found)
    assert cache.get("ab1", MAP.shape) is None


def test_what_is_no_archive_is_a_miss(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.put("ab1", MAP)
    (path,) = tmp_path.glob("*/*.npz")
    np.save(tmp_path / "x.npy", np.zeros(3))
    (tmp_path / "x.npy").replace(path)
    assert cache.get("ab1", MAP.shape) is None


def test_features_that_are_not_finite_are_not_kept(tmp_path):
    cache = FeatureCache(tmp_path)
    assert not cache.put("ab1", torch.where(MAP == 5, torch.nan, MAP))
    # Finite in float32, and not in float16.
    assert not cache.put("ab1", MAP * 1e5)
    assert cache.get("ab1", MAP.shape) is None


@pytest.mark.parametrize("text", ["12x", "-5", "", "\xff"])
def test_a_count_of_bytes_that_is_damaged_is_counted_anew(tmp_path, text):
    cache = FeatureCache(tmp_path)
    cache.put("ab1", MAP)
    (tmp_path / ".cache.bytes").write_bytes(text.encode("latin-1"))
    assert cache.put("ab2", MAP)
    files = sum(path.stat().st_size for path in tmp_path.glob("*/*.npz"))
    assert int((tmp_path / ".cache.bytes").read_text()) == files


def test_a_folder_that_is_deleted_is_made_again_and_no_training_ends(tmp_path, monkeypatch):
    cache = FeatureCache(tmp_path / "cache")
    cache.put("ab1", MAP)
    shutil.rmtree(cache.folder)
    assert cache.get("ab1", MAP.shape) is None
    assert cache.put("ab1", MAP)
    assert torch.equal(cache.get("ab1", MAP.shape).float(), MAP)
    # In the middle of writing.
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", lambda *_, **__: shutil.rmtree(cache.folder))
        assert not cache.put("ab2", MAP)
    assert cache.put("ab2", MAP)


def _fill(folder, begin, killed):
    cache = FeatureCache(folder, limit=1)
    for k in range(begin, begin + 40):
        cache.put(f"{k:03d}", MAP + k)
        if killed and k == begin + 20:
            # In the middle of writing: the file is not finished, and the lock is held.
            torch.Tensor.numpy = lambda self: os.kill(os.getpid(), signal.SIGKILL)


def test_two_processes_fill_one_folder_and_one_is_killed_while_it_writes(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_fill, args=(tmp_path, begin, begin > 0)) for begin in (0, 30)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, -signal.SIGKILL]
    cache = FeatureCache(tmp_path, limit=1)
    # 0–39 of the one; 30–50 of the other, which died at the next.
    found = {k: cache.get(f"{k:03d}", MAP.shape) for k in range(80)}
    assert [k for k, value in found.items() if value is not None] == list(range(51))
    assert all(torch.equal(value.float(), MAP + k) for k, value in found.items() if value is not None)
    assert not list(tmp_path.glob("*/.*.unfinished"))
    files = sum(path.stat().st_size for path in tmp_path.glob("*/*.npz"))
    assert int((tmp_path / ".cache.bytes").read_text()) == files


def test_wrong_input_is_one_clear_error(tmp_path):
    with pytest.raises(UserError, match="cache limit: expected gigabytes above 0, got 0"):
        FeatureCache(tmp_path, limit=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written to"):
        FeatureCache(tmp_path / "file" / "cache")
