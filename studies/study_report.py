"""The file of rows that a study writes."""

import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from ponderv2 import __version__
from ponderv2.compat.versions import installed_versions

from .runs import write_json


def exit_code(failures: Mapping[str, str]) -> int:
    """Name the runs that failed; return the exit code of a study: 0 done, 1 some run failed."""
    if failures:
        print(f"failed: {', '.join(failures)}; start again to repeat them", file=sys.stderr)
    return 1 if failures else 0


def write_report(path: Path, rows: Sequence[dict], about: Mapping) -> None:
    """Write the rows with how they were computed: `about`, and versions.

    | key | content |
    |---|---|
    | keys of `about` | data, seeds, options, encoders, failed runs, formula of the verdicts |
    | `made_with` | code and packages of the runs, of which `about` may have several |
    | `versions`, `machine` | what the file was written with |
    | `rows` | those of `rows_of` of the study, scores from 0 to 1 |
    """
    versions = installed_versions() | {"scikit-learn": metadata.version("scikit-learn"), "ponderv2": __version__}
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(about.get("made_with", ())) > 1:
        print(f"runs are of different code or packages: see made_with in {path}")
    write_json(path, {**about, "versions": versions, "machine": platform.machine(), "rows": list(rows)})
