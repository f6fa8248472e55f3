"""Starting a data set of nuScenes' size: key frames in a store that ranks share, against a list in every rank.

Random info files stand for real ones, and a random index for that of a ground-truth database. Every rank is a process
of its own; all import first, open at the same time, and stay until the last one is measured. What ranks hold is the
growth of their shares of memory (PSS, in which a page that n processes share counts as n parts), summed: so much more
does the machine need. Pages of mapped files are among it. It needs Linux.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .arguments import INFO_WAYS as WAYS
from .infos_rank import DATABASE, INFOS
from .measure import surroundings
from .random_infos import write_index, write_infos

STORES = {"infos": f"{INFOS}.frames", "database": f"{DATABASE}/index.pkl.tables"}
"""What is opened, and the file that its first start makes."""

_BYTES_OF_LIST = 180_000
"""Memory that a key frame takes in one rank at the peak of the list."""


def run(args: argparse.Namespace) -> dict:
    """Measure all ways and print a table; a list that does not fit the free memory is left out.

    Returns:
        `rows` with `part`, `way`, `ranks`, `seconds` until the slowest rank was open, `held_bytes` of all together,
        `read_bytes` of all together when each had read everything once, `peak_bytes` of the largest beyond what it
        had before, and `read_ms` for each frame and rank; number of frames, machine and versions.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / INFOS).exists():
            write_infos(folder / INFOS, args.frames)
        if not (folder / DATABASE).exists():
            write_index(folder / DATABASE, args.frames)
        rows = [row for part in args.parts for row in _rows(args, folder, part)]
    return {"rows": rows, "frames": args.frames, **surroundings("cpu")}


def _rows(args: argparse.Namespace, folder: Path, part: str) -> list[dict]:
    print(f"{part}, {args.frames:,} key frames; MB of all ranks together, the peak of the largest")
    print(f"{'way':<20} {'ranks':>5} {'seconds':>8} {'held':>7} {'read':>7} {'peak':>7} {'ms/frame':>8}")
    rows = []
    for ranks in args.ranks:
        for way in args.ways:
            needed = ranks * args.frames * _BYTES_OF_LIST
            if way == "list" and _free_bytes() < needed:
                print(f"{way:<20} {ranks:5d} not run: it needs {needed / 1e9:.0f} GB of free memory")
                continue
            row = {"part": part, "way": way, "ranks": ranks, **measure(folder, part, way, ranks, args.frames)}
            held, read, peak = (row[f"{key}_bytes"] / 1e6 for key in ("held", "read", "peak"))
            figures = f"{row['seconds']:8.2f} {held:7.0f} {read:7.0f} {peak:7.0f} {row['read_ms']:8.2f}"
            print(f"{way:<20} {ranks:5d} {figures}", flush=True)
            rows.append(row)
    return rows


def measure(folder: Path, part: str, way: str, ranks: int, frames: int) -> dict[str, float]:
    """Measure one way with so many ranks; returns the figures of a row, see `run`."""
    if way == WAYS[1]:
        (folder / STORES[part]).unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.infos_rank", str(folder), part, way.split(",")[0]]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(ranks)
    ]
    try:
        before, opened, read = (_step(processes) for _ in range(3))
    finally:
        for process in processes:
            process.communicate("\n")
    return {
        "seconds": max(answer["seconds"] for answer in opened),
        "held_bytes": _growth(before, opened),
        "read_bytes": _growth(before, read),
        "peak_bytes": max(after["peak"] - first["rss"] for first, after in zip(before, opened, strict=True)),
        "read_ms": 1e3 * max(answer["seconds"] for answer in read) / frames,
    }


def _step(processes: list[subprocess.Popen]) -> list[dict]:
    """Let all ranks do their next step, and measure them when the last one has; returns what each answers."""
    done = _answers(processes)
    return [seconds | memory for seconds, memory in zip(done, _answers(processes), strict=True)]


def _answers(processes: list[subprocess.Popen]) -> list[dict]:
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    lines = [process.stdout.readline() for process in processes]
    if not all(lines):
        raise RuntimeError("a rank ended early; its error is above")
    return [json.loads(line) for line in lines]


def _growth(before: list[dict], after: list[dict]) -> int:
    return sum(last["pss"] - first["pss"] for first, last in zip(before, after, strict=True))


def _free_bytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
