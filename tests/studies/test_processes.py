"""Trainings end with their study, however it ends."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from studies.processes import ended_by_signals, launch
from studies.runs import Job, run_jobs

SLEEPS = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"


def _study(folder: Path) -> None:
    """A study of one training, which writes the number of its process and sleeps; two more wait."""
    jobs = [Job(folder / name, ("-c", SLEEPS, str(folder / f"{name}.pid")), {}, lambda _: {}) for name in ("a", "b")]
    run_jobs(jobs, 1)


def _started(path: Path) -> int:
    deadline = time.monotonic() + 20
    while not (path.is_file() and path.read_text()):
        assert time.monotonic() < deadline, "the training did not start"
        time.sleep(0.02)
    return int(path.read_text())


def _ends(process: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        # One that has ended and that nobody waits for is still listed.
        if ") Z " in Path(f"/proc/{process}/stat").read_text():
            return True
        time.sleep(0.02)
    os.kill(process, signal.SIGKILL)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGKILL])
def test_a_study_that_is_ended_ends_its_training_and_starts_no_other(tmp_path, number):
    # A process that has the packages already.
    study = multiprocessing.get_context("fork").Process(target=_interruptible, args=(tmp_path,))
    study.start()
    training = _started(tmp_path / "a.pid")
    os.kill(study.pid, number)
    study.join(20)
    assert _ends(training)
    assert study.exitcode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}.get(number, 128 + number)
    assert not (tmp_path / "b.pid").exists()


def _interruptible(folder: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _study(folder)
    except KeyboardInterrupt:
        sys.exit(130)


def test_a_process_runs_in_its_environment_and_its_output_is_kept(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    program = "import os, sys; print(os.environ['WORD'], sys.argv[1:]); sys.exit(3)"
    assert launch([sys.executable, "-c", program, "a b"], log, dict(os.environ) | {"WORD": "here"}) == 3
    assert log.read_text() == "before\nhere ['a b']\n"


def test_signals_are_handled_as_before_after_the_study():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with ended_by_signals():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with pytest.raises(SystemExit) as ended:
            _end_itself()
        assert ended.value.code == 143
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_itself() -> None:
    with ended_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
