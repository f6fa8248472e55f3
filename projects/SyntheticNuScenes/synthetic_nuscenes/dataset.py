"""This module writes many scenes as one data set that nuScenes' devkit opens; it is whole or not there at all."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from .recording import Recording, Rows, record_scene, write_rows
from .tables import TABLES, fixed_tables, version_and_names

ARGUMENTS_FILE = "synthetic.json"
FORMAT = 1
"""Version of the bytes: it is raised whenever the same arguments give other bytes."""


def make_dataset(root: Path, scenes: int, recording: Recording, workers: int = 1, progress: bool = True) -> bool:
    """Make a data set at `root`; it is there as a whole or not at all.

    Scene k holds the same bytes whatever the number of scenes and of workers. Everything is written to
    `<root>.partial`, which is renamed to `root` at the end.

    Args:
        scenes: number of scenes; up to ten make a `v1.0-mini`, more make a `v1.0-trainval`.
        recording: what is recorded in each scene.
        workers: number of processes, each of which makes one scene at a time; with 0 this process makes all of them.
        progress: whether a progress bar is shown.

    Returns:
        False when this very data set is already there, True when it was made.

    Raises:
        FileExistsError: when `root` or the partial folder holds something else.
        ValueError: for a number of scenes without official names, or for numbers out of range.
    """
    version, names = version_and_names(scenes)
    _check(recording, workers)
    arguments = {"format": FORMAT, "scenes": scenes, **asdict(recording)}
    if _is_there(root, arguments):
        return False
    partial = root.with_name(root.name + ".partial")
    if partial.exists():
        if not (partial / ARGUMENTS_FILE).is_file():
            raise FileExistsError(f"{partial} is in the way and was not made by an interrupted run; move it away")
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    (partial / ARGUMENTS_FILE).write_text(json.dumps(arguments | {"finished": False}, indent=1) + "\n")
    jobs = [(partial, recording, k, name, version) for k, name in enumerate(names)]
    recorded: list[Rows | None] = [None] * scenes
    with tqdm(total=scenes, unit="scene", disable=not progress) as bar:
        for k, rows in _recorded(jobs, workers, bar):
            recorded[k] = rows
            bar.update()
    merged = {table: [row for rows in recorded for row in rows.get(table, [])] for table in TABLES}
    write_rows(partial / version, merged | fixed_tables())
    (partial / ARGUMENTS_FILE).write_text(json.dumps(arguments | {"finished": True}, indent=1) + "\n")
    if root.exists():
        root.rmdir()
    partial.rename(root)
    return True


def _check(recording: Recording, workers: int) -> None:
    if recording.keyframes < 2:
        raise ValueError(f"keyframes: got {recording.keyframes}, velocities need at least 2")
    if min(recording.width, recording.height) < 16 or recording.width > 4096 or recording.height > 4096:
        raise ValueError(f"image size {recording.width}x{recording.height}: each side must be 16 to 4096 pixels")
    if recording.seed < 0:
        raise ValueError(f"seed: got {recording.seed}, must not be negative")
    if workers < 0:
        raise ValueError(f"workers: got {workers}, must not be negative")


def _is_there(root: Path, arguments: dict) -> bool:
    """Return whether `root` is the finished data set of these arguments; an empty folder is no data set."""
    if not root.exists():
        return False
    if not root.is_dir():
        raise FileExistsError(f"{root} is a file; the data set needs a folder")
    if not any(root.iterdir()):
        return False
    note = root / ARGUMENTS_FILE
    if not note.is_file():
        raise FileExistsError(f"{root} is not empty and holds no synthetic data set; choose another folder")
    found = json.loads(note.read_text())
    wanted = json.loads(json.dumps(arguments))
    differ = {k: (found.get(k), v) for k, v in wanted.items() if found.get(k) != v}
    if differ:
        told = ", ".join(f"{key} {old} instead of {new}" for key, (old, new) in differ.items())
        raise FileExistsError(f"{root} holds another synthetic data set ({told}); choose another folder")
    return bool(found.get("finished"))


def _recorded(jobs: list[tuple], workers: int, bar: tqdm) -> Iterator[tuple[int, Rows]]:
    if workers == 0:
        for k, job in enumerate(jobs):
            yield k, record_scene(*job)
        return
    with _single_threaded(), ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(record_scene, *job): k for k, job in enumerate(jobs)}
        try:
            waiting = set(futures)
            while waiting:
                done, waiting = wait(waiting, timeout=5, return_when=FIRST_COMPLETED)
                # A scene takes a while; the elapsed time shows that it is being made.
                bar.refresh()
                for future in done:
                    yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Let child processes start with one thread each for linear algebra: they share the cores already."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
