"""Run the check: every part in a process of its own, within the time that is given."""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from ponderv2.devices import usable_device

from .levels import missing, versions
from .parts import ROOT, Part, all_parts
from .report import markdown

LEAST_SECONDS = 5.0
"""A part is not begun with less time than this."""

PART_SECONDS = {"agreement": 180.0, "tests": 300.0, "precision": 180.0, "step": 180.0, "benchmark": 240.0}
"""What a part of each kind may take; one that takes longer hangs, and has failed."""


def run(given: argparse.Namespace) -> int:
    """Check this machine as the command line of tools/gpu_check.py says.

    Returns:
        The exit code: 0 where everything that could be run passed, or the machine has no device; else 1, also where it
        has a device that torch does not find.
    """
    device = usable_device(given.device) if given.device or torch.cuda.is_available() else None
    result = {"device": describe(device), "python": platform.python_version(), "versions": versions()}
    if device is None:
        cards = cards_of_the_machine()
        of = f"torch {torch.__version__} (CUDA {torch.version.cuda}) finds no GPU here"
        if cards:
            print(f"no device: {of}, but the machine has one: {cards[0]}; a build for CPUs, or an old driver?")
        else:
            print(f"no device: {of}, so there is nothing to check")
        _write(given, result)
        return 1 if cards else 0
    print(f"checking {result['device']['name']}, at most {given.minutes:g} minutes", flush=True)
    end = time.monotonic() + 60 * given.minutes
    lacking = {level: missing(level) for level in given.levels}
    result["missing"] = {level: names for level, names in lacking.items() if names}
    parts = [part for part in all_parts() if part.level in given.levels and part.kind in given.kinds]
    result["parts"] = [_run(part, device, end, lacking[part.level]) for part in parts]
    _write(given, result)
    failed = [f"{row['kind']} {row['subject']}" for row in result["parts"] if row["state"] == "failed"]
    skipped = sum(row["state"] == "skipped" for row in result["parts"])
    told = "failed: " + "; ".join(failed) if failed else "everything that was run passed"
    print(f"{told}; {skipped} of {len(parts)} parts skipped")
    return 1 if failed else 0


def cards_of_the_machine() -> list[str]:
    """Name the NVIDIA cards that the system knows, whether torch finds them or not: device files, or nvidia-smi's."""
    files = [str(path) for path in sorted(Path("/dev").glob("nvidia[0-9]*"))]
    if files or shutil.which("nvidia-smi") is None:
        return files
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in done.stdout.splitlines() if line.startswith("GPU ")] if done.returncode == 0 else []


def describe(device: str | None) -> dict | None:
    """Describe a device: its name and, of a GPU, memory, capability and the versions that belong to it."""
    if device is None:
        return None
    if not device.startswith("cuda"):
        return {"name": device}
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "capability": ".".join(map(str, torch.cuda.get_device_capability(device))),
        "cuda": torch.version.cuda or torch.version.hip,
        "cudnn": torch.backends.cudnn.version(),
    }


def _run(part: Part, device: str, end: float, lacking: list[str]) -> dict:
    """Run a part and tell how it went: "passed", "failed" or "skipped", with the reason."""
    row = {"kind": part.kind, "subject": part.subject}
    left = end - time.monotonic()
    if lacking:
        row |= {"state": "skipped", "reason": f"not installed: {', '.join(lacking)}"}
    elif left < LEAST_SECONDS:
        row |= {"state": "skipped", "reason": "no time left"}
    else:
        start = time.monotonic()
        row |= _in_own_process(part, device, left)
        row["wall_seconds"] = time.monotonic() - start
    took = f", {row['wall_seconds']:.0f} s" if "wall_seconds" in row else ""
    reason = f": {row['reason']}" if "reason" in row else ""
    print(f"{part.kind} {part.subject}: {row['state']}{took}{reason}", flush=True)
    return row


def _in_own_process(part: Part, device: str, seconds: float) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "found.json")
        code = "import sys; from benchmarks.gpu_check.parts import main; main(*sys.argv[1:])"
        arguments = [part.kind, part.subject, part.level, device, str(seconds), str(output)]
        folders = [ROOT, ROOT / "projects" / "PonderV2", ROOT / "projects" / "SyntheticNuScenes"]
        limit = min(seconds, PART_SECONDS[part.kind])
        environment = {"PYTHONPATH": os.pathsep.join([*map(str, folders), *(p for p in sys.path if p)])}
        try:
            code, told = _output_of([sys.executable, "-c", code, *arguments], limit, os.environ | environment)
        except subprocess.TimeoutExpired:
            if limit < seconds:
                return {
                    "state": "failed",
                    "reason": f"ended after {limit:.0f} s, the limit of a part",
                }
            return {"state": "skipped", "reason": f"ended after {seconds:.0f} s, when the time was over"}
        if code or not output.exists():
            lines = told.strip().splitlines() or [f"exit code {code}"]
            return {"state": "failed", "reason": lines[-1], "error": "\n".join(lines[-30:])}
        found = json.loads(output.read_text())
    state = "passed" if found.pop("passed") else "failed"
    if found.get("missing"):
        return {"state": "skipped", "reason": f"not installed: {', '.join(found['missing'])}"}
    return {"state": state, "found": found}


def _output_of(command: list[str], seconds: float, environment: dict[str, str]) -> tuple[int, str]:
    """Run a command and return its exit code and what it says; when the time is over, end it and all that it started.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True
    ) as process:
        try:
            out, errors = process.communicate(timeout=seconds)
        except BaseException:
            # The tests run in a process of their own, which would go on.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, errors or out


def _write(given: argparse.Namespace, result: dict) -> None:
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    if given.markdown is not None:
        given.markdown.write_text(markdown(result))
