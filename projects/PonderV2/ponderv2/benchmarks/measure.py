"""Seconds of a step, and the bytes it needs in a process of its own."""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch


def timed(step: Callable[[], object], device: str) -> float:
    """Seconds of one call, the work it leaves on a GPU included."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_bytes(step: Callable[[], object], device: str) -> int:
    """Bytes that two calls need beyond what is there before: allocated on a GPU, resident on a CPU."""
    if device.startswith("cuda"):
        step()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    before = _resident()
    step()
    step()
    return _resident() - before


def peak_of_own_process(module: str, args: argparse.Namespace, way: str, names: tuple[str, ...]) -> int:
    """The `peak_bytes` that `run` of a benchmark module returns for `--only=way`, in a fresh process.

    Args:
        module: the benchmark's, with `add_arguments` and `run`.
        args: what this process was called with.
        names: the arguments to hand on.

    Raises:
        RuntimeError: the process failed; with its error output.
    """
    code = (
        "import argparse, importlib\n"
        f"benchmark = importlib.import_module({module!r})\n"
        "parser = argparse.ArgumentParser()\n"
        "benchmark.add_arguments(parser)\n"
        "print(benchmark.run(parser.parse_args())['peak_bytes'])\n"
    )
    options = [f"--{name}={getattr(args, name)}" for name in names]
    done = subprocess.run(
        [sys.executable, "-c", code, f"--only={way}", *options],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {way!r} failed:\n{done.stderr}")
    return int(done.stdout.split()[-1])


def _resident() -> int:
    """Peak resident bytes of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # What `getrusage` reports on Linux includes the process that started this one.
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if "VmHWM" in line)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
