"""Work that can be interrupted: the result of each scene is a file in a folder of parts, and is not made again."""

import json
import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ponderv2.progress_bar import progress_bar

Job = Callable[[Any], Any]

# The job of a worker process: set in worker processes alone, once, when they start.
_worker_job: Job | None = None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that there is never half of it under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


def run_in_parts(job: Job, tasks: dict[str, Any], folder: Path, workers: int, description: str) -> list[Path]:
    """Run `job(task)` for each named task whose part is not there yet, and pickle what it returns as its part.

    Args:
        job: function that returns plain containers or numpy values.
        tasks: tasks by the names of their parts.
        folder: folder of the parts.
        workers: number of processes; 1 works in this one.
        description: text of the progress bar.

    Returns:
        Paths of the parts, in the order of the tasks.
    """
    parts = {name: folder / f"{name}.pkl" for name in tasks}
    missing = [(task, parts[name]) for name, task in tasks.items() if not parts[name].is_file()]
    with progress_bar(len(tasks), description, "scene", initial=len(tasks) - len(missing)) as progress:
        for _ in _run(job, missing, min(workers, len(missing))):
            progress.update()
    return list(parts.values())


def _run(job: Job, tasks: Sequence[tuple[Any, Path]], workers: int) -> Iterator[None]:
    if workers <= 1:
        for task, part in tasks:
            yield _finish_part(job, task, part)
        return
    # Forked workers share the tables, which take gigabytes, instead of each having a copy.
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    with multiprocessing.get_context(method).Pool(workers, initializer=_adopt, initargs=(job,)) as pool:
        yield from pool.imap_unordered(_finish_part_in_worker, tasks)


def _adopt(job: Job) -> None:
    global _worker_job
    _worker_job = job


def _finish_part_in_worker(task: tuple[Any, Path]) -> None:
    _finish_part(_worker_job, *task)


def _finish_part(job: Job, task: Any, part: Path) -> None:
    write_atomically(part, pickle.dumps(job(task), protocol=4))


class Record:
    """The file `prepared.json`, which notes the finished outputs of a folder and what each was made from.

    Args:
        folder: folder of the outputs.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "prepared.json"

    def matches(self, output: Path, made_from: dict) -> bool:
        """Tell whether an output is there and was made from just this."""
        return output.exists() and self.made_from(output) == made_from

    def made_from(self, output: Path) -> dict | None:
        """Read what an output was made from; None if that was not noted."""
        return self._read().get(output.name)

    def add(self, output: Path, made_from: dict) -> None:
        """Note that an output is finished."""
        content = self._read() | {output.name: made_from}
        write_atomically(self.path, json.dumps(content, indent=2, sort_keys=True).encode())

    def _read(self) -> dict:
        return json.loads(self.path.read_text()) if self.path.is_file() else {}


def remove_parts(folder: Path) -> None:
    """Delete parts that are no longer needed, and the folder above when it is empty."""
    shutil.rmtree(folder)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()
