"""This module writes many scenes as one data set that nuScenes' devkit opens; it is whole or not there at all."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from synthetic_nuscenes.build import MOST_PASSES
from synthetic_nuscenes.seeds import LARGEST_SEED
from synthetic_nuscenes.synthetic_errors import SyntheticDataError, naming

from .benchmarks import name_of
from .maker_lock import maker_lock
from .recording import Recording, Rows, record_scene, write_rows
from .scene_workers import run_jobs
from .tables import TABLES, fixed_tables, version_and_names

ARGUMENTS_FILE = "synthetic.json"
ROWS_FOLDER = "rows"
"""Folder of the table rows of each finished scene, in a data set that is being made."""
FORMAT = 2
"""Version of the bytes: it is raised whenever the same arguments give other bytes."""


def make_dataset(root: Path, scenes: int, recording: Recording, workers: int = 1, progress: bool = True) -> bool:
    """Make a data set at `root`; it is there as a whole or not at all.

    Scene k holds the same bytes whatever the number of scenes and of workers. Everything is written to
    `<root>.partial`, which is renamed to `root` at the end. When the process is interrupted or killed, or the disk is
    full, the same call goes on later with the scenes that are missing; with other arguments it starts anew.

    Args:
        root: folder of the data set.
        scenes: number of scenes; up to ten of one pass make a `v1.0-mini`, all others a `v1.0-trainval`.
        recording: what is recorded in each scene.
        workers: number of processes, each of which makes one scene at a time; with 0 this process makes all of them.
        progress: whether a progress bar is shown.

    Returns:
        False when this very data set is already there, True when it was made.

    Raises:
        SyntheticDataError: when `root` or the partial folder holds something else, another process is making this
            data set, a worker process was killed, there are no official names for so many scenes, or a number is out
            of range.
        OSError: when a file cannot be written; it has the file's name.
    """
    _check(recording, workers)
    version, names = version_and_names(scenes, recording.passes)
    arguments = _arguments(scenes, recording)
    if _is_there(root, arguments):
        return False
    with maker_lock(root):
        # Another process may just have finished it.
        if _is_there(root, arguments):
            return False
        partial = _partial_folder(root, arguments)
        if not _read_note(partial).get("finished"):
            name = name_of(scenes, recording)
            _fill(partial, version, [(recording, k, name) for k, name in enumerate(names)], workers, progress)
            _write_note(partial, arguments | {"finished": True} | ({"benchmark": name} if name else {}))
        # Killed from here on, the next run finds all there is to do left.
        if (partial / ROWS_FOLDER).exists():
            shutil.rmtree(partial / ROWS_FOLDER)
        if root.exists():
            root.rmdir()
        partial.rename(root)
    return True


def finished_note(root: Path) -> dict | None:
    """Return the arguments that the finished data set at `root` was made with; None where there is none.

    Raises:
        SyntheticDataError: they cannot be read.
    """
    note = _read_note(root)
    return note if note is not None and note.get("finished") else None


def _arguments(scenes: int, recording: Recording) -> dict:
    arguments = {"format": FORMAT, "scenes": scenes, **asdict(recording)}
    # Data sets of one pass were made before there were others, and their notes do not tell.
    return {key: value for key, value in arguments.items() if (key, value) != ("passes", 1)}


def _fill(partial: Path, version: str, scenes: list[tuple[Recording, int, str]], workers: int, progress: bool) -> None:
    """Record the scenes that are missing in a partial folder, and write the tables of all."""
    rows = {name: partial / ROWS_FOLDER / f"{name}.json" for _, _, name in scenes}
    jobs = [(partial, *scene, version, rows[scene[-1]]) for scene in scenes if not rows[scene[-1]].is_file()]
    with tqdm(total=len(scenes), initial=len(scenes) - len(jobs), unit="scene", disable=not progress) as bar:
        for _ in _recorded(jobs, workers, bar):
            bar.update()
    recorded = [_read_object(path, mend="delete it and start again") for path in rows.values()]
    merged = {table: [row for of_scene in recorded for row in of_scene.get(table, [])] for table in TABLES}
    write_rows(partial / version, merged | fixed_tables())


def _check(recording: Recording, workers: int) -> None:
    if recording.keyframes < 2:
        raise SyntheticDataError(f"keyframes: got {recording.keyframes}, velocities need at least 2")
    if min(recording.width, recording.height) < 16 or recording.width > 4096 or recording.height > 4096:
        raise SyntheticDataError(
            f"image size {recording.width}x{recording.height}: each side must be 16 to 4096 pixels"
        )
    if not 0 <= recording.seed <= LARGEST_SEED:
        raise SyntheticDataError(f"seed: got {recording.seed}, must be 0 to {LARGEST_SEED}")
    if not 1 <= recording.passes <= MOST_PASSES:
        raise SyntheticDataError(f"passes: got {recording.passes}, must be 1 to {MOST_PASSES}")
    if workers < 0:
        raise SyntheticDataError(f"workers: got {workers}, must not be negative")


def _is_there(root: Path, arguments: dict) -> bool:
    """Return whether `root` is the finished data set of these arguments; an empty folder is no data set."""
    if not root.exists():
        return False
    if not root.is_dir():
        raise SyntheticDataError(f"{root} is a file; the data set needs a folder")
    if not any(root.iterdir()):
        return False
    found = _read_note(root)
    if found is None:
        raise SyntheticDataError(f"{root} is not empty and holds no synthetic data set; choose another folder")
    differ = _differences(found, arguments)
    if differ:
        told = ", ".join(f"{key} {old} instead of {new}" for key, (old, new) in differ.items())
        raise SyntheticDataError(f"{root} holds another synthetic data set ({told}); choose another folder")
    if not found.get("finished"):
        raise SyntheticDataError(f"{root} holds half of a synthetic data set; delete it, or choose another folder")
    return True


def _partial_folder(root: Path, arguments: dict) -> Path:
    """Return the folder that a run was interrupted in if it had the same arguments, else a new one."""
    partial = root.with_name(root.name + ".partial")
    if partial.exists() and any(partial.iterdir()):
        found = _read_note(partial)
        if found is None:
            raise SyntheticDataError(f"{partial} is in the way and was not made by an interrupted run; move it away")
        if not _differences(found, arguments):
            return partial
        shutil.rmtree(partial)
    partial.mkdir(exist_ok=True)
    _write_note(partial, arguments | {"finished": False})
    return partial


def _write_note(folder: Path, content: dict) -> None:
    _write_at_once(folder / ARGUMENTS_FILE, json.dumps(content, indent=1) + "\n")


def _write_at_once(path: Path, text: str) -> None:
    """Write a file so that there is never half of it under its name; an earlier one stays until then."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        with naming(path):
            with unfinished.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _read_note(folder: Path) -> dict | None:
    note = folder / ARGUMENTS_FILE
    return _read_object(note, mend=f"delete {folder}, or choose another folder") if note.is_file() else None


def _read_object(path: Path, mend: str) -> dict:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise SyntheticDataError(f"{path} is damaged ({error}); {mend}") from error
    if not isinstance(content, dict):
        raise SyntheticDataError(f"{path} is damaged (it holds no object); {mend}")
    return content


def _differences(found: dict, arguments: dict) -> dict:
    wanted = json.loads(json.dumps(arguments))
    differ = {key: (found.get(key), value) for key, value in wanted.items() if found.get(key) != value}
    if "passes" not in wanted and "passes" in found:
        differ["passes"] = (found["passes"], 1)
    return differ


def _recorded(jobs: list[tuple], workers: int, bar: tqdm) -> Iterator[None]:
    if workers == 0:
        for job in jobs:
            yield _record(*job)
    elif jobs:
        yield from run_jobs(_record, jobs, min(workers, len(jobs)), bar)


def _record(partial: Path, recording: Recording, scene: int, name: str, version: str, rows_file: Path) -> None:
    """Record a scene; its rows come last and at once, and say that all of its files are there."""
    rows: Rows = record_scene(partial, recording, scene, name, version)
    _write_at_once(rows_file, json.dumps(rows))
