"""Trainings as processes, each with a folder for its settings and its result, which is computed only once."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from ponderv2.atomic_files import write_atomically
from ponderv2.checkpoints import checkpoint_to_resume
from ponderv2.command_line.run_tool import USER
from ponderv2.engine.hooks.progress import last_progress
from ponderv2.errors import UserError

from .made_with import made_with
from .processes import end_processes, ended_by_signals, launch

SETTINGS, RESULT, LOG = "settings.json", "result.json", "log.txt"
LOCK = ".study.lock"
"""Name of the lock file of a study's folder."""
TRUE_BOXES = "true_boxes"
LATER = (TRUE_BOXES,)
"""Settings that results of before do not have; they are taken all the same."""
_TAIL = 16384
_PATIENCE = 60.0
"""Seconds between asking a process to end, which it does after a step and a checkpoint, and killing it."""
Launcher = Callable[[Sequence[str], Path, dict[str, str]], int]
"""Runs a command with its output appended to a file and with an environment; returns the exit code."""


class StudyError(UserError):
    """Raised when a study cannot go on; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        folder: work dir of the training.
        command: tools/train.py and its arguments, without `--work-dir` and `--resume`.
        settings: plain values that the result depends on; results of other settings are refused.
        result: function that reads the result from the work dir; it returns None when there is no result, as after
            resuming a training that had ended already.
    """

    folder: Path
    command: tuple[str, ...]
    settings: dict
    result: Callable[[Path], dict | None]

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    def finished(self) -> dict | None:
        """Return the result of an earlier run with these settings, or None if there is none.

        Raises:
            StudyError: when the folder has a result, or a checkpoint to resume from, of other settings, or the file
                that says so is damaged.
        """
        for name in (RESULT, SETTINGS):
            path = self.folder / name
            # A run that failed before its first checkpoint leaves nothing that could be mixed up.
            if not path.is_file() or (name == SETTINGS and not self.resumes()):
                continue
            content = read_json(path)
            parts = ("settings", "result") if name == RESULT else ("settings",)
            if content is None or not all(isinstance(content.get(part), dict) for part in parts):
                raise StudyError(
                    f"{path} is damaged: expected JSON with {' and '.join(parts)}; remove {self.folder} to run it anew"
                )
            found = content["settings"]
            changes = differences(found, {k: v for k, v in self.settings.items() if k in found or k not in LATER})
            if changes:
                raise StudyError(
                    f"{self.folder} was made with other settings ({changes}); choose another --out, or remove that "
                    "folder to run it anew"
                )
            if name == RESULT:
                return content
        return None

    def resumes(self) -> bool:
        """Tell whether an interrupted training left a checkpoint to resume from."""
        return checkpoint_to_resume(self.folder) is not None


def differences(found: dict, expected: dict) -> str:
    """Name the settings that differ; the text is empty when none does."""
    keys = [k for k in {**found, **expected} if found.get(k) != expected.get(k)]
    return ", ".join(f"{k} {_short(found.get(k))} instead of {_short(expected.get(k))}" for k in keys)


def run_jobs(
    jobs: Sequence[Job], parallel: int, launcher: Launcher = launch, seconds: float = 8.0
) -> tuple[dict[str, dict], dict[str, str]]:
    """Run the jobs that are not finished, some at a time; a failure does not stop the others.

    Args:
        jobs: the jobs, in the order in which they start.
        parallel: number of processes at a time, which share the cores evenly. OMP_NUM_THREADS may ask for fewer
            threads: beside other work, two threads on busy cores wait for each other.
        launcher: function that runs a command.
        seconds: time between two prints of the progress of the running jobs.

    Returns:
        Results of the finished jobs, and the last lines of output of the failed ones, both by name.

    Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 end the running processes and start no other.

    Raises:
        StudyError: when a folder holds a run with other settings; no job has started then.
    """
    results = {job.name: done for job in jobs if (done := job.finished()) is not None}
    waiting = [job for job in jobs if job.name not in results]
    print(f"{len(jobs)} runs, {len(results)} of them finished before", flush=True)
    threads = _threads(parallel)
    environment = dict(os.environ) | {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    failures: dict[str, str] = {}
    with ended_by_signals(), ThreadPoolExecutor(parallel) as pool:
        running: dict[Future, Job] = {pool.submit(_run, job, launcher, environment): job for job in waiting}
        try:
            while running:
                finished = wait(running, timeout=seconds, return_when=FIRST_COMPLETED).done
                if not finished:
                    _print_progress([job for future, job in running.items() if future.running()])
                for future in finished:
                    job = running.pop(future)
                    result, failure = future.result()
                    if result is None:
                        failures[job.name] = failure
                        print(f"{job.name} failed, its last lines:\n{failure}", flush=True)
                    else:
                        results[job.name] = result
                        scores = _format_scores(result["result"])
                        print(f"{job.name}: {scores}, {result['minutes']:.1f} min; {len(running)} to go", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            _end([future for future in running if not future.cancelled()])
            raise
    return results, failures


def _threads(parallel: int) -> int:
    """Return the number of threads of a process: its part of the cores, or fewer where OMP_NUM_THREADS asks for it."""
    part = max(1, len(os.sched_getaffinity(0)) // parallel)
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(part, int(asked)) if asked.isdecimal() and int(asked) > 0 else part


def _end(jobs: Sequence[Future]) -> None:
    """End the processes of the jobs that run. One of them may be about to start its process: all are asked again."""
    started = time.monotonic()
    while wait(jobs, timeout=0.2).not_done:
        end_processes(kill=time.monotonic() - started > _PATIENCE)


def _run(job: Job, launcher: Launcher, environment: dict[str, str]) -> tuple[dict | None, str]:
    """Start or resume a job; return its result, or None and what went wrong, which stops no other job."""
    try:
        return _train(job, launcher, environment)
    except (StudyError, OSError) as error:
        return None, f"  {error}"


def _train(job: Job, launcher: Launcher, environment: dict[str, str]) -> tuple[dict | None, str]:
    """Start or resume a job; return its result, or None and the last lines of its output.

    Raises:
        StudyError: its folder has a run of other settings, or its scores cannot be used.
        OSError: a file cannot be read or written.
    """
    # It may have waited for hours, in which something else finished it.
    if (done := job.finished()) is not None:
        return done, ""
    job.folder.mkdir(parents=True, exist_ok=True)
    resumes, settings = job.resumes(), job.folder / SETTINGS
    # A training that goes on with other code is of both.
    codes = (read_json(settings) or {}).get("made_with", [None]) if resumes and settings.is_file() else []
    own = made_with()
    codes = codes if own in codes[-1:] else [*codes, own]
    write_json(settings, {"settings": job.settings, "made_with": codes})
    log, start = job.folder / LOG, time.monotonic()
    command = [sys.executable, *job.command, "--work-dir", str(job.folder)]
    if not resumes:
        _set_logs_aside(job.folder)
    code = launcher([*command, "--resume"] if resumes else command, log, environment)
    scores = job.result(job.folder) if code == 0 else None
    if code == 0 and scores is None and resumes:
        # It was interrupted after its last step, and its recipe does not validate.
        (job.folder / "last_checkpoint").unlink()
        codes = codes[-1:]
        _set_logs_aside(job.folder)
        code = launcher(command, log, environment)
        scores = job.result(job.folder) if code == 0 else None
    if scores is None:
        lines = _last_lines(log, code, Path(job.command[0]).name) if log.is_file() else []
        why = f"exit code {code}" if code else "exit code 0, but the work dir has no result"
        return None, "\n".join([*(f"  {line}" for line in lines), f"  ({why}; all of it in {log})"])
    minutes = (time.monotonic() - start) / 60
    result = {"settings": job.settings, "result": scores, "minutes": round(minutes, 2), "made_with": codes}
    write_json(job.folder / RESULT, result)
    return result, ""


def _set_logs_aside(folder: Path) -> None:
    """Rename the logs of earlier attempts: their validations are none of a training that starts anew."""
    for log in folder.glob("*/vis_data/scalars.json"):
        log.replace(log.with_name("scalars_earlier.json"))


def _last_lines(log: Path, code: int, tool: str) -> list[str]:
    """Return the end of a log; only what the tool said last where that is one line about what a user can mend."""
    lines = log.read_text(errors="replace").splitlines()
    said = [line for line in lines if line.startswith(f"{tool}: ")]
    return said[-1:] if code == USER and said else lines[-20:]


def _print_progress(jobs: Sequence[Job]) -> None:
    for job in jobs:
        line, log = None, job.folder / LOG
        if log.is_file():
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - _TAIL))
                line = last_progress(file.read().decode(errors="replace"))
        print(f"{job.name}: {line or 'starting'}", flush=True)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: Path) -> dict | None:
    """Read what `write_json` wrote; None where the file is damaged."""
    try:
        content = json.loads(path.read_text())
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def write_json(path: Path, content: dict) -> None:
    """Write a file in one step; processes that write the same file at once leave the whole one of either."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 16 else f"{text[:12]}…"


def _format_scores(result: dict) -> str:
    return ", ".join(f"{k} {result[k]:.4f}" for k in ("mAP", "NDS", "mIoU") if k in result) or "done"
