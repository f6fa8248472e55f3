"""A training step of a recipe, as it is against changed ways of it, and against another checkout of the code.

Every way is a process of its own with the same seed, and all are started first. Then they take one step each in turn,
while the others wait, so that noise meets all alike.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

from ponderv2.engine import parse_options
from ponderv2.errors import UserError

from .measure import surroundings

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("data", "encoder", "head", "backward", "optimizer")
AS_IT_IS, BEFORE = "recipe", "before"


def run(args: argparse.Namespace) -> dict:
    """Measure all ways and print a table.

    Returns:
        `seconds` of a step and of its parts by way, medians; `ratio` by way: how many times faster it is than the first
        one, the median over rounds; `rounds`, `recipe`, machine and versions.
    """
    torch.set_num_threads(args.threads)
    ways = {name: (ROOT, options) for name, options in _variations(args.variation).items()}
    if args.before is not None:
        ways = {BEFORE: (_checkout(args.before), {}), **ways}
    steps = measure(args, ways)
    totals = {way: [sum(step[part] for part in PARTS) for step in taken] for way, taken in steps.items()}
    first = totals[next(iter(ways))]
    result = {
        "seconds": {
            way: {"step": statistics.median(totals[way])}
            | {part: statistics.median(step[part] for step in taken) for part in PARTS}
            for way, taken in steps.items()
        },
        "ratio": {
            way: statistics.median(a / b for a, b in zip(first, total, strict=True)) for way, total in totals.items()
        },
        "loss": {way: [step["loss"] for step in taken] for way, taken in steps.items()},
        "rounds": args.repeats,
        "recipe": args.config.name,
        **surroundings("cpu"),
    }
    _print(result)
    return result


def measure(args: argparse.Namespace, ways: dict[str, tuple[Path, dict]]) -> dict[str, list[dict[str, float]]]:
    """Take steps in turn; returns the answers of each way, see `step_worker`.

    Raises:
        RuntimeError: when a way failed; the message holds the end of its error output.
    """
    with tempfile.TemporaryDirectory() as folder:
        logs = {way: Path(folder, f"{number}.log") for number, way in enumerate(ways)}
        workers = {way: start_worker(args, *ways[way], logs[way], {}) for way in ways}
        try:
            steps: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
            for number in range(args.warm_up + args.repeats):
                for way, worker in workers.items():
                    answer = ask(worker)
                    if answer is None:
                        raise RuntimeError(f"the way {way!r} failed:\n{logs[way].read_text()[-3000:]}")
                    if number >= args.warm_up:
                        steps[way].append(answer)
        finally:
            for worker in workers.values():
                worker.stdin.close()
                worker.wait()
    return steps


def start_worker(
    args: argparse.Namespace,
    root: Path,
    options: dict,
    log: Path,
    environment: Mapping[str, str],
) -> subprocess.Popen:
    """Start a process of `step_worker`.

    Args:
        args: arguments of the benchmark: `config`, `data_root`, `threads`.
        root: checkout whose code and recipe are measured.
        options: changes to the recipe.
        log: file of its error output.
        environment: variables that it gets as well.
    """
    recipe = root / args.config.resolve().relative_to(ROOT)
    job = {
        "recipe": str(recipe),
        "data_root": str(args.data_root.resolve()),
        "options": options,
        "threads": args.threads,
    }
    folders = [root / "projects" / "PonderV2", root / "projects" / "SyntheticNuScenes", root]
    own = {"PYTHONPATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": str(args.threads)}
    with log.open("w") as errors:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "step_worker.py"), json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | own | environment,
        )


def ask(worker: subprocess.Popen) -> dict[str, float] | None:
    """Have a worker take a step; returns its answer, None where it has ended."""
    try:
        worker.stdin.write("\n")
        worker.stdin.flush()
    except BrokenPipeError:
        return None
    line = worker.stdout.readline()
    return json.loads(line) if line else None


def _variations(given: list[list[str]]) -> dict[str, dict]:
    """Read the name and the changes of each way; the recipe as it is comes first."""
    ways: dict[str, dict] = {AS_IT_IS: {}}
    for name, *changes in given:
        if not changes or name in (*ways, BEFORE):
            raise UserError(f"--variation {name}: expected a name of its own and then changes, KEY=VALUE")
        ways[name] = parse_options(changes)
    return ways


def _checkout(folder: Path) -> Path:
    if not (folder / "projects" / "PonderV2" / "ponderv2").is_dir():
        raise UserError(f"--before {folder}: expected a checkout of this repository, with projects/PonderV2/ponderv2")
    return folder.resolve()


def _print(result: dict) -> None:
    width = max(map(len, result["seconds"]))
    print(f"{result['recipe']}, {result['threads']} threads, ms; medians of {result['rounds']} rounds")
    print(f"{'':<{width}} {'step':>7} {'faster':>7} " + " ".join(f"{part:>9}" for part in PARTS))
    for way, seconds in result["seconds"].items():
        parts = " ".join(f"{1e3 * seconds[part]:9.1f}" for part in PARTS)
        print(f"{way:<{width}} {1e3 * seconds['step']:7.1f} {result['ratio'][way]:6.2f}× {parts}")
