"""Trainings as processes that are finished once: a folder each, with its settings and its result."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

SETTINGS, RESULT, LOG = "settings.json", "result.json", "log.txt"
Launcher = Callable[[Sequence[str], Path, dict[str, str]], int]
"""Runs a command with its output appended to a file and with an environment; returns the exit code."""


class StudyError(ValueError):
    """A study that cannot go on; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        folder: its work dir.
        command: tools/train.py and its arguments, without `--work-dir` and `--resume`.
        settings: plain values that the result depends on; a result made with others is refused.
        result: reads the result of a finished work dir; None when there is none, as after resuming a training that
            had ended already.
    """

    folder: Path
    command: tuple[str, ...]
    settings: dict
    result: Callable[[Path], dict | None]

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    def finished(self) -> dict | None:
        """The result of a run with these settings, if it was finished before.

        Raises:
            StudyError: the folder holds a result, or a checkpoint to go on from, of other settings.
        """
        for name in (RESULT, SETTINGS):
            path = self.folder / name
            # A run that failed before its first checkpoint leaves nothing that could be mixed up.
            if not path.is_file() or (name == SETTINGS and not self.resumes()):
                continue
            made_with = json.loads(path.read_text())
            told = differences(made_with.get("settings", {}), self.settings)
            if told:
                raise StudyError(
                    f"{self.folder} was made with other settings ({told}); choose another --out, or remove that folder "
                    "to run it anew"
                )
            if name == RESULT:
                return made_with
        return None

    def resumes(self) -> bool:
        """Whether an interrupted training left a checkpoint to go on from."""
        return (self.folder / "last_checkpoint").is_file()


def differences(found: dict, wanted: dict) -> str:
    """Which settings differ, in words; empty when none does."""
    keys = [k for k in {**found, **wanted} if found.get(k) != wanted.get(k)]
    return ", ".join(f"{k} {_short(found.get(k))} instead of {_short(wanted.get(k))}" for k in keys)


def launch(command: Sequence[str], log: Path, environment: dict[str, str]) -> int:
    """The real `Launcher`."""
    with log.open("a") as file:
        return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment, check=False).returncode


def run_jobs(jobs: Sequence[Job], parallel: int, launcher: Launcher = launch) -> tuple[dict[str, dict], dict[str, str]]:
    """Run what is not finished, so many at a time; a failure does not stop the others.

    Args:
        jobs: in order.
        parallel: processes at a time; they share the cores evenly.
        launcher: starts a process.

    Returns:
        Results of the jobs that are finished, and for the others the last lines of their output, both by name.

    Raises:
        StudyError: a folder holds a run with other settings; nothing was started then.
    """
    results = {job.name: done for job in jobs if (done := job.finished()) is not None}
    waiting = [job for job in jobs if job.name not in results]
    print(f"{len(jobs)} runs, {len(results)} of them finished before", flush=True)
    threads = max(1, len(os.sched_getaffinity(0)) // parallel)
    environment = dict(os.environ) | {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    failures: dict[str, str] = {}
    with ThreadPoolExecutor(parallel) as pool:
        running: dict[Future, Job] = {pool.submit(_run, job, launcher, environment): job for job in waiting}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    result, failure = future.result()
                    if result is None:
                        failures[job.name] = failure
                        print(f"{job.name} failed, its last lines:\n{failure}", flush=True)
                    else:
                        results[job.name] = result
                        told = f"{_told(result['result'])}, {result['minutes']:.1f} min; {len(running)} to go"
                        print(f"{job.name}: {told}", flush=True)
        except BaseException:
            # Interrupted: what runs was interrupted as well, what waits must not start.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results, failures


def _run(job: Job, launcher: Launcher, environment: dict[str, str]) -> tuple[dict | None, str]:
    """Start or go on; the result, or None and the last lines of the output."""
    job.folder.mkdir(parents=True, exist_ok=True)
    _write(job.folder / SETTINGS, {"settings": job.settings})
    log, start = job.folder / LOG, time.monotonic()
    command = [sys.executable, *job.command, "--work-dir", str(job.folder)]
    resumes = job.resumes()
    code = launcher([*command, "--resume"] if resumes else command, log, environment)
    found = job.result(job.folder) if code == 0 else None
    if code == 0 and found is None and resumes:
        # Interrupted after its last step: resuming trains nothing and so evaluates nothing.
        (job.folder / "last_checkpoint").unlink()
        code = launcher(command, log, environment)
        found = job.result(job.folder) if code == 0 else None
    if found is None:
        lines = log.read_text().splitlines()[-20:] if log.is_file() else []
        why = f"exit code {code}" if code else "it ended well, but without the numbers that were expected"
        return None, "\n".join([*(f"  {line}" for line in lines), f"  ({why}; all of it in {log})"])
    minutes = (time.monotonic() - start) / 60
    result = {"settings": job.settings, "result": found, "minutes": round(minutes, 2)}
    _write(job.folder / RESULT, result)
    return result, ""


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _write(path: Path, content: dict) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2) + "\n")
    part.replace(path)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 16 else f"{text[:12]}…"


def _told(result: dict) -> str:
    return ", ".join(f"{k} {v:.4f}" for k, v in result.items() if k in ("NDS", "mAP")) or "done"
