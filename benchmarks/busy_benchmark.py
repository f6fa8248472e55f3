"""A training step beside busy processes against a quiet one, with threads that wait as torch's do and as the tools' do.

Both ways are processes with the same seed that take a step in turn, quiet and busy rounds alternate, and the ratio is
that of neighbors: what else the machine does meets all alike.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ponderv2.command_line.threads import thread_settings

from .measure import surroundings
from .step_benchmark import PARTS, ROOT, ask, start_worker

TORCH, TOOLS = "as torch waits", "as the tools wait"
_LOOP = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100000))\n"
"""A process that is busy until the one that started it ends, however that ends."""


def run(args: argparse.Namespace) -> dict:
    """Measure and print a table.

    Returns:
        `seconds`: median of a step by way, "quiet" and "busy"; `busy_over_quiet` by way, the median over pairs;
        `processes`, `rounds`, `recipe`, machine and versions.
    """
    steps = measure(args)
    result = {
        "seconds": {
            way: {name: statistics.median(values) for name, values in found.items()} for way, found in steps.items()
        },
        "busy_over_quiet": {
            way: statistics.median(b / q for q, b in zip(found["quiet"], found["busy"], strict=True))
            for way, found in steps.items()
        },
        "processes": args.processes,
        "rounds": args.repeats,
        "recipe": args.config.name,
        **surroundings("cpu"),
        "threads": args.threads,
    }
    _print(result)
    return result


def measure(args: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Take steps in turn; returns their seconds by way, "quiet" and "busy".

    Raises:
        RuntimeError: when a way failed; the message holds the end of its error output.
    """
    unset = dict.fromkeys(("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "GOMP_SPINCOUNT"), "")
    settings = {TORCH: unset, TOOLS: thread_settings({}, os.cpu_count() or 1)}
    steps: dict[str, dict[str, list[float]]] = {way: {"quiet": [], "busy": []} for way in settings}
    with tempfile.TemporaryDirectory() as folder:
        logs = {way: Path(folder, f"{number}.log") for number, way in enumerate(settings)}
        workers = {way: start_worker(args, ROOT, {}, logs[way], settings[way]) for way in settings}
        try:
            for number in range(args.warm_up + args.repeats):
                for name, processes in (("quiet", 0), ("busy", args.processes)):
                    with busy(processes):
                        for way, worker in workers.items():
                            answer = ask(worker)
                            if answer is None:
                                raise RuntimeError(f"{way!r} failed:\n{logs[way].read_text()[-3000:]}")
                            if number >= args.warm_up:
                                steps[way][name].append(sum(answer[part] for part in PARTS))
        finally:
            for worker in workers.values():
                worker.stdin.close()
                worker.wait()
    return steps


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep processes busy, with nothing, while the block runs."""
    loops = [subprocess.Popen([sys.executable, "-S", "-c", _LOOP]) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _print(result: dict) -> None:
    print(f"{result['recipe']}, {result['threads']} threads, beside {result['processes']} busy processes; s a step")
    width = max(map(len, result["seconds"]))
    print(f"{'':<{width}} {'quiet':>7} {'busy':>7} {'busy / quiet':>13}")
    for way, seconds in result["seconds"].items():
        ratio = result["busy_over_quiet"][way]
        print(f"{way:<{width}} {seconds['quiet']:7.2f} {seconds['busy']:7.2f} {ratio:13.2f}")
