"""The parts of the check, each of which runs in a process of its own, and the level that it needs."""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("agreement", "tests", "precision", "step", "benchmark")
"""Kinds of parts, in the order in which they are run: whether it is right comes before how fast it is."""


@dataclass(frozen=True)
class Part:
    """A part of the check.

    Attributes:
        kind: one of `KINDS`.
        subject: what it is about: a level, a recipe or a benchmark.
        level: level that has to be installed.
    """

    kind: str
    subject: str
    level: str


def all_parts() -> list[Part]:
    """Return the parts in the order in which they are run."""
    agreement = [Part("agreement", level, level) for level in ("torch", "mmcv", "spconv")]
    tests = [Part("tests", level, level) for level in ("torch", "mmcv", "spconv")]
    precision = [Part("precision", "rendered scene", "torch"), Part("precision", "camera model", "mmcv")]
    benchmarks = [Part("benchmark", "render", "torch"), Part("benchmark", "lift", "torch")]
    benchmarks += [Part("benchmark", "lidar", "spconv")]
    return [*agreement, *tests, *precision, *(_step(path) for path in full_size_recipes()), *benchmarks]


def full_size_recipes() -> list[Path]:
    """Return the recipes that are trained at full size; those for a test submission train the models of others."""
    folders = [ROOT / "configs" / name for name in ("pretrain", "detection")]
    return [path for folder in folders for path in sorted(folder.glob("*.py")) if not path.stem.endswith("_test")]


def run_part(part: Part, device: str, seconds: float) -> dict:
    """Run a part in this process.

    Args:
        part: what is run.
        device: the device that is checked.
        seconds: time that is left.

    Returns:
        What it has found, with `passed`.
    """
    return _RUN[part.kind](part, device, seconds)


def _agreement(part: Part, device: str, seconds: float) -> dict:
    import torch

    from .agreement import compare

    # On a GPU products would be rounded to ten bits otherwise.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    cases = importlib.import_module(f".{part.subject}_cases", __package__).cases()
    rows = [compare(case, device) for case in cases]
    return {"rows": rows, "passed": all(row["passed"] for row in rows)}


def _tests(part: Part, device: str, seconds: float) -> dict:
    from .gpu_tests import run_marked

    return run_marked(part.subject, seconds)


def _precision(part: Part, device: str, seconds: float) -> dict:
    from . import precision_runs

    return precision_runs.compare_precisions(getattr(precision_runs, part.subject.replace(" ", "_")), device)


def _recipe_step(part: Part, device: str, seconds: float) -> dict:
    from .recipe_step import recipe_step

    return recipe_step(ROOT / "configs" / f"{part.subject}.py", device)


def _benchmark(part: Part, device: str, seconds: float) -> dict:
    import argparse

    from benchmarks import arguments

    parser = argparse.ArgumentParser()
    getattr(arguments, f"add_{part.subject}_arguments")(parser)
    # Compiling takes a minute.
    options = {"render": ["--no-compile"]}.get(part.subject, [])
    given = parser.parse_args([f"--device={device}", *options])
    result = importlib.import_module(f"benchmarks.{part.subject}_benchmark").run(given)
    return result | {"passed": True}


_RUN: dict[str, Callable[[Part, str, float], dict]] = {
    "agreement": _agreement,
    "tests": _tests,
    "precision": _precision,
    "step": _recipe_step,
    "benchmark": _benchmark,
}


def _step(recipe: Path) -> Part:
    # spconv is what LiDAR recipes need beyond the stack.
    level = "spconv" if any(word in recipe.stem for word in ("lidar", "fusion")) else "mmcv"
    return Part("step", str(recipe.relative_to(ROOT / "configs").with_suffix("")), level)


def main(kind: str, subject: str, level: str, device: str, seconds: str, output: str) -> None:
    """Run a part and write what it has found to a file of JSON; the arguments are those of `Part` and `run_part`."""
    found = run_part(Part(kind, subject, level), device, float(seconds))
    Path(output).write_text(json.dumps(found))
