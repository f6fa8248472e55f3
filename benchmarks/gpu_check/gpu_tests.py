"""The tests that are marked `gpu`, run by pytest in a process of its own."""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

from .levels import LEVELS

ROOT = Path(__file__).resolve().parents[2]
NEEDS = ("pytest", "jaxtyping", "beartype", "filelock", "cv2")
"""What the tests import whatever they test."""

_BARE = ("structures", "geometry", "rendering", "lifting", "masking")
"""Folders of tests that torch is enough for, but for the lift that needs mmcv."""


def marked_files() -> dict[str, list[str]]:
    """Return the test files that have a test marked `gpu`, by the level that they need."""
    files: dict[str, list[str]] = {level: [] for level in LEVELS}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if "pytest.mark.gpu" in path.read_text():
            files[_level(path)].append(str(path.relative_to(ROOT)))
    return files


def run_marked(level: str, seconds: float) -> dict:
    """Run the marked tests of a level.

    Args:
        level: level, whose files are run.
        seconds: time after which they are ended.

    Returns:
        `tests`, `failed` and `skipped`, numbers; `failures`, names; `passed`; instead of numbers `missing`, packages
        without which no test can be run.
    """
    files = marked_files()[level]
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing or not files:
        return {"tests": 0, "missing": missing, "passed": not files}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", *files]
        done = subprocess.run(
            [*command, f"--junitxml={report}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        if not report.exists():
            return {"tests": 0, "error": (done.stdout + done.stderr)[-2000:], "passed": False}
        return _read(report) | {"passed": done.returncode == 0}


def _read(report: Path) -> dict:
    cases = list(ElementTree.parse(report).iter("testcase"))
    failures = [
        f"{case.get('classname')}.{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    return {"tests": len(cases), "failed": len(failures), "skipped": skipped, "failures": failures}


def _level(path: Path) -> str:
    parts = path.relative_to(ROOT / "tests").parts
    if parts[0] in _BARE and "deformable" not in path.stem:
        return "torch"
    return "spconv" if any(word in "/".join(parts) for word in ("spconv", "sparse", "lidar", "fusion")) else "mmcv"
