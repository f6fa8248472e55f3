"""Work that can be interrupted: the result of each scene is a file in a folder of parts, and is not made again."""

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ponderv2.atomic_files import remove_unfinished, write_atomically
from ponderv2.datasets.info_file import read_plain_pickle
from ponderv2.progress_bar import progress_bar

from .nuscenes_tables import PreparationError
from .worker_pool import run_in_processes

Job = Callable[[Any], Any]


def run_in_parts(job: Job, tasks: dict[str, Any], folder: Path, workers: int, description: str) -> list[Path]:
    """Run `job(task)` for each named task whose part is not there yet, and pickle what it returns as its part.

    Args:
        job: function that returns plain containers or numpy values.
        tasks: tasks by the names of their parts.
        folder: folder of the parts; no other process may be at work in it.
        workers: number of processes; 1 works in this one.
        description: text of the progress bar.

    Returns:
        Paths of the parts, in the order of the tasks.

    Raises:
        PreparationError: a worker process was killed or ran out of memory.
        OSError: a part cannot be written; those that are finished stay.
    """
    remove_unfinished(folder)
    parts = {name: folder / f"{name}.pkl" for name in tasks}
    missing = [(task, parts[name]) for name, task in tasks.items() if not _is_whole(parts[name])]
    with progress_bar(len(tasks), description, "scene", initial=len(tasks) - len(missing)) as progress:
        for _ in _run(_PartMaker(job), missing, min(workers, len(missing))):
            progress.update()
    return list(parts.values())


class _PartMaker:
    """Makes the part of a task; an object, so that worker processes can be handed it."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, task: tuple[Any, Path]) -> None:
        content, part = task
        write_atomically(part, pickle.dumps(self.job(content), protocol=4))


def _run(make: _PartMaker, tasks: Sequence[tuple[Any, Path]], workers: int) -> Iterator[None]:
    if workers > 1:
        yield from run_in_processes(make, tasks, workers)
    else:
        for task in tasks:
            yield make(task)


def _is_whole(part: Path) -> bool:
    """Tell whether a part begins and ends as a pickle does; one that was cut is made anew."""
    if not part.is_file() or part.stat().st_size < 2:
        return False
    with part.open("rb") as file:
        first = file.read(1)
        file.seek(-1, os.SEEK_END)
        return (first, file.read(1)) == (pickle.PROTO, pickle.STOP)


def read_part(part: Path) -> Any:
    """Read what a job returned.

    Raises:
        PreparationError: the part is damaged; it is deleted, so that the next run makes it anew.
    """
    try:
        return read_plain_pickle(part)
    except OSError:
        raise
    except Exception as error:
        # A damaged pickle may raise anything, says the documentation of `pickle`.
        part.unlink()
        raise PreparationError(
            f"{part} was damaged ({error}) and is deleted; start the same command without --overwrite again, which "
            "makes that scene anew"
        ) from error
