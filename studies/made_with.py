"""What code and packages a training ran with, which its result tells, and which runs of a study differ in it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import ponderv2
from ponderv2.compat.versions import installed_versions

from .study_run import Run


def made_with() -> dict[str, str]:
    """Return the SHA-256 of the sources of `ponderv2` as `code`, and the versions of the packages it runs with."""
    root = Path(ponderv2.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return {"code": digest.hexdigest()} | installed_versions()


def runs_by_code(done: Mapping[Run, Mapping]) -> list[dict]:
    """Return what the finished runs were made with, and the names of the runs of each; None for what nobody noted.

    Args:
        done: results; `made_with` has an entry for each code that a training went on with.
    """
    groups: dict[str, list[str]] = {}
    for run, found in done.items():
        groups.setdefault(json.dumps(found.get("made_with")), []).append(run.name)
    return [{"made_with": json.loads(text), "runs": names} for text, names in groups.items()]
