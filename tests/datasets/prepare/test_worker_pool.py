"""Worker processes: one that is killed is noticed, and none outlives its parent or an interruption."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ponderv2.datasets.prepare import PreparationError
from ponderv2.datasets.prepare.parts import run_in_parts
from tests.factories.processes import forked, is_running, wait_for


@pytest.fixture(autouse=True)
def _no_hanging() -> Iterator[None]:
    """A test that hangs fails, instead of stopping all others."""

    def too_long(*_: object) -> None:
        raise TimeoutError("the work hangs")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(40)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def killed_at_two(task: int) -> int:
    if task == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def out_of_memory(task: int) -> int:
    raise MemoryError


class Sleeper:
    """A job that notes its process and takes a minute."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, task: int) -> None:
        (self.folder / f"{os.getpid()}.pid").touch()
        time.sleep(60)


TASKS = {f"task {k}": k for k in range(4)}


@pytest.mark.parametrize(
    ("job", "what"), [(killed_at_two, "was killed, most likely for lack of memory"), (out_of_memory, "ran out of mem")]
)
def test_a_worker_that_is_killed_or_short_of_memory_ends_the_work_with_one_line(tmp_path, job, what):
    with pytest.raises(PreparationError, match=rf"^a worker process {what}.*fewer --workers than 2[^\n]*$"):
        run_in_parts(job, TASKS, tmp_path, 2, "work")
    # What is missing is made when the same work is started again.
    assert len(run_in_parts(int, TASKS, tmp_path, 2, "work")) == 4


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(tmp_path, how):
    with forked(lambda: run_in_parts(Sleeper(tmp_path), TASKS, tmp_path, 3, "work"), tmp_path / "errors") as parent:
        wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 3)
        workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
        assert all(map(is_running, workers))
        os.kill(parent.pid, how)
        wait_for(lambda: not any(map(is_running, workers)), 5)


def test_an_interruption_ends_all_workers_at_once_and_none_of_them_prints(tmp_path):
    def work() -> None:
        try:
            run_in_parts(Sleeper(tmp_path), TASKS, tmp_path, 3, "work")
        except KeyboardInterrupt:
            os._exit(130)

    with forked(work, tmp_path / "errors") as parent:
        wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 3)
        workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
        # As a terminal does for Ctrl-C: to the whole group.
        os.killpg(parent.pid, signal.SIGINT)
        parent.join(5)
        assert parent.exitcode == 130
        wait_for(lambda: not any(map(is_running, workers)), 5)
    assert "Traceback" not in (tmp_path / "errors").read_text()


def test_an_error_of_a_job_ends_the_other_workers(tmp_path):
    sleep = Sleeper(tmp_path)

    def job(task: int) -> None:
        if task:
            sleep(task)
        wait_for(lambda: list(tmp_path.glob("*.pid")))
        raise PreparationError("no such scene")

    started = time.monotonic()
    with pytest.raises(PreparationError, match="no such scene"):
        run_in_parts(job, TASKS, tmp_path, 2, "work")
    assert time.monotonic() - started < 20
    assert not any(is_running(int(path.stem)) for path in tmp_path.glob("*.pid"))
