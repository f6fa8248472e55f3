"""Measuring: the seconds of a step, the bytes that it needs in a process of its own, and the machine."""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch


def timed(step: Callable[[], object], device: str) -> float:
    """Measure the seconds of one call, the work that it leaves on a GPU included."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def cpu_seconds(step: Callable[[], object]) -> float:
    """Measure the seconds that one call computes in this thread: what else the machine does is not in them."""
    start = time.thread_time()
    step()
    return time.thread_time() - start


def seconds_in_turn(steps: dict[str, Callable[[], object]], repeats: int, device: str) -> dict[str, float]:
    """Measure median seconds by way, after one call to warm up; ways take turns, so that noise meets all alike."""
    for step in steps.values():
        step()  # Compilation, caches and the allocator.
    seconds = {way: [] for way in steps}
    for _ in range(repeats):
        for way, step in steps.items():
            seconds[way].append(timed(step, device))
    return {way: statistics.median(values) for way, values in seconds.items()}


def surroundings(device: str) -> dict:
    """Describe the machine on which a figure is measured: `device`, `threads`, `versions`."""
    return {
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
    }


def print_ways(title: str, seconds: dict[str, float], peaks: dict[str, int], baseline: str) -> None:
    """Print a table of ways: seconds, peak memory, and how many times better than the baseline each is."""
    width = max(map(len, seconds))
    print(title)
    print(f"{'':<{width}} {'seconds':>8} {'faster':>7} {'peak MB':>8} {'leaner':>7}")
    for way in seconds:
        print(
            f"{way:<{width}} {seconds[way]:8.3f} {seconds[baseline] / seconds[way]:6.2f}× "
            f"{peaks[way] / 1e6:8.0f} {peaks[baseline] / peaks[way]:6.2f}×"
        )


def peak_bytes(step: Callable[[], object], device: str) -> int:
    """Measure the bytes that two calls need beyond what is there before: allocated on a GPU, resident on a CPU."""
    if device.startswith("cuda"):
        step()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    before = resident_bytes()
    step()
    step()
    return resident_bytes() - before


def peak_of_own_process(name: str, args: argparse.Namespace, way: str, names: tuple[str, ...]) -> int:
    """Run a benchmark with `--only=way` in a fresh process and return its `peak_bytes`.

    Args:
        name: name of the benchmark, such as "render".
        args: arguments of this process.
        way: the way to measure.
        names: names of the arguments that are handed on.

    Raises:
        RuntimeError: when the process failed; the message holds its error output.
    """
    code = (
        "import argparse\n"
        f"from benchmarks import arguments, {name}_benchmark as benchmark\n"
        "parser = argparse.ArgumentParser()\n"
        f"arguments.add_{name}_arguments(parser)\n"
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


def resident_bytes() -> int:
    """Return the peak of the resident bytes of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # What `getrusage` reports on Linux includes the process that started this one.
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if "VmHWM" in line)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
