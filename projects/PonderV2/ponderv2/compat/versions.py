"""Refuse a stack that is known not to work, before it fails somewhere less clear."""

import contextlib
import platform
from collections.abc import Mapping
from importlib import metadata

from packaging.specifiers import SpecifierSet

from ponderv2.errors import UserError

__all__ = ["SUPPORTED", "UnsupportedVersionError", "check_versions", "find_problems", "installed_versions"]

# The upper bounds of mmcv and mmdet are mmdet3d 1.4's own import-time checks; numpy's is nuscenes-devkit's;
# Python's is mmcv 2.1, which calls pkgutil.find_loader (gone in 3.14). torch knows `get_autocast_dtype` since 2.4.
SUPPORTED: dict[str, str] = {
    "python": ">=3.10,<3.14",
    "torch": ">=2.4",
    "numpy": "<2",
    "mmengine": ">=0.10.4,<0.11",
    "mmcv": ">=2.1.0,<2.2.0",
    "mmdet": ">=3.2,<3.4",
    "mmdet3d": "==1.4.*",
    "transformers": ">=4.40",
    "spconv": ">=2.3.6",
}
OPTIONAL = frozenset({"spconv"})
# spconv has one distribution a CUDA version, all of which install the same module.
OTHER_NAMES = {"spconv": [f"spconv-cu{cuda}" for cuda in (102, 111, 113, 114, 117, 118, 120, 121, 124, 126)]}


class UnsupportedVersionError(UserError, ImportError):
    """Some installed packages are missing or outside the supported ranges; the message lists all of them."""


def installed_versions() -> dict[str, str]:
    """Return the version of every installed package of `SUPPORTED`; nothing is imported to find out."""
    found = {"python": platform.python_version()}
    for package in SUPPORTED:
        for distribution in (package, *OTHER_NAMES.get(package, ())):
            with contextlib.suppress(metadata.PackageNotFoundError):
                found.setdefault(package, metadata.version(distribution))
    return found


def find_problems(installed: Mapping[str, str]) -> list[str]:
    """Compare versions with `SUPPORTED`, and say what is wrong.

    Args:
        installed: version by package name; a package that is not installed is absent.

    Returns:
        One line per package that is missing or out of range, in the order of `SUPPORTED`.
    """
    problems = []
    for name, needed in SUPPORTED.items():
        version = installed.get(name)
        if version is None:
            if name not in OPTIONAL:
                problems.append(f"{name}: not installed, needs {needed}")
        # Vendors' containers ship torch as a pre-release ("2.9.0a0+..."): count it.
        elif not SpecifierSet(needed).contains(version, prereleases=True):
            problems.append(f"{name}: {version} is installed, needs {needed}")
    return problems


def check_versions(installed: Mapping[str, str] | None = None) -> None:
    """Raise unless every package is within its supported range.

    Args:
        installed: version by package name; by default what is installed in this environment.

    Raises:
        UnsupportedVersionError: listing every package that is wrong, not only the first.
    """
    problems = find_problems(installed_versions() if installed is None else installed)
    if problems:
        raise UnsupportedVersionError(
            "this environment cannot run ponderv2:\n  "
            + "\n  ".join(problems)
            + "\nInstall the pinned set: `make setup` (requirements.txt) for CPU, "
            "requirements/a100.txt for a CUDA machine."
        )
