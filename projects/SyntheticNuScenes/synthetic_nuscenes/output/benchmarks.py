"""This module holds the named benchmarks: what fixes their bytes, and the hashes that were stored of them."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthetic_nuscenes.synthetic_errors import SyntheticDataError

if TYPE_CHECKING:
    from .recording import Recording

STORED_HASHES = Path(__file__).with_name("benchmark_hashes.json")
"""File with the hashes of each benchmark, and the format (`dataset.FORMAT`) of the bytes that they were taken of."""


@dataclass(frozen=True)
class Benchmark:
    """A `Benchmark` is a data set with a name. With the format of the bytes, its numbers fix every one of them."""

    scenes: int
    keyframes: int
    width: int
    height: int
    seed: int
    purpose: str
    passes: int = 1

    def recording(self) -> "Recording":
        """Return what is recorded in each scene."""
        # Not at the top: it takes a second, and command lines name the benchmarks in their help.
        from .recording import Recording

        return Recording(self.seed, self.keyframes, self.width, self.height, passes=self.passes)


BENCHMARKS = {
    "streets-v1": Benchmark(125, 4, 400, 225, 0, "100 drives to train on, 25 to score"),
    "streets-mini": Benchmark(10, 4, 400, 225, 22, "8 drives to train on, 2 to score: for tests and the demo"),
    "revisits-v1": Benchmark(
        60, 4, 400, 225, 77, "30 places, each passed twice at different times of day: for retrieval", passes=2
    ),
}
"""The benchmarks by name. Whoever changes one gives it another name: scores stand beside the name alone."""

LABEL_FRACTIONS = (0.01, 0.05, 0.1, 0.25, 1.0)
"""Shares of the labelled key frames that are reported on `streets-v1`; a smaller one lies in each larger one."""


def name_of(scenes: int, recording: "Recording") -> str | None:
    """Return the name of the benchmark that has these scenes; None for any other data set."""
    for name, benchmark in BENCHMARKS.items():
        if (scenes, recording) == (benchmark.scenes, benchmark.recording()):
            return name
    return None


def stored_hashes(name: str, form: int) -> dict[str, str] | None:
    """Return the hashes that were stored of a benchmark, by part; None where there are none of this format.

    Raises:
        SyntheticDataError: the file of the hashes is damaged.
    """
    entry = _read(STORED_HASHES).get(name, {})
    if entry.get("format") != form:
        return None
    return {part: text for part, text in entry.items() if part != "format"}


def store_hashes(path: Path, name: str, form: int, hashes: dict[str, str]) -> None:
    """Write the hashes of a benchmark into a file like `STORED_HASHES`, in one step; those of other benchmarks stay.

    Raises:
        SyntheticDataError: the file is there and damaged.
        OSError: it cannot be written.
    """
    content = _read(path) if path.is_file() else {}
    content[name] = {"format": form, **hashes}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        unfinished.write_text(json.dumps(dict(sorted(content.items())), indent=2) + "\n")
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _read(path: Path) -> dict[str, dict]:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise SyntheticDataError(f"{path} is damaged ({error}); expected the hashes of benchmarks") from error
    if not isinstance(content, dict):
        raise SyntheticDataError(f"{path} is damaged (it holds no object); expected the hashes of benchmarks")
    wrong = [name for name, entry in content.items() if not isinstance(entry, dict)]
    if wrong:
        raise SyntheticDataError(f"{path} is damaged ({wrong[0]} is no object); expected the hashes of benchmarks")
    return content
