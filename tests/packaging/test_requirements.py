"""What pyproject.toml promises: every import has a requirement, and the pins that are run lie in its ranges."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import ponderv2
from ponderv2.compat.versions import SUPPORTED
from tests.architecture.sources import PACKAGES, imports_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COMES_WITH = {"cumm": "spconv"}
"""Imported parts of another requirement; their names differ with the CUDA version, as that requirement's does."""

RANGES = {"core": ("core",), "ponderv2": ("core", "driving"), "synthetic_nuscenes": ("synthetic",)}


@pytest.fixture
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


def _requirements(project: dict, *groups: str) -> dict[str, list[Requirement]]:
    """Requirements by canonical name; "core" are those without an extra."""
    found: dict[str, list[Requirement]] = {}
    for group in groups:
        lines = project["dependencies"] if group == "core" else project["optional-dependencies"][group]
        for requirement in map(Requirement, lines):
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_that_is_imported_is_required(project: dict, package: str):
    required = set(_requirements(project, *RANGES[package]))
    distributions = metadata.packages_distributions()
    missing = {}
    for found in imports_of(package):
        top = found.module.split(".")[0]
        # `ponderv2.shapes` does without jaxtyping.
        if top in {*sys.stdlib_module_names, *PACKAGES} or (package, top) == ("ponderv2", "jaxtyping"):
            continue
        names = {canonicalize_name(COMES_WITH.get(top, name)) for name in distributions.get(top, [top])}
        if not names & required:
            missing[top] = str(found)
    assert not missing


def test_the_core_is_torch_numpy_and_safetensors(project: dict):
    assert set(_requirements(project, "core")) == {"torch", "numpy", "safetensors"}


def test_every_range_holds_the_version_that_is_pinned(repository: Path, project: dict):
    pinned = re.findall(r"^([\w.-]+)==(\S+)$", (repository / "requirements.txt").read_text(), re.MULTILINE)
    pins = {canonicalize_name(name): version for name, version in pinned}
    for name, requirements in _requirements(project, "core", *project["optional-dependencies"]).items():
        assert name in pins, f"{name} is required but not pinned in requirements.txt"
        for requirement in requirements:
            assert requirement.specifier.contains(pins[name]), f"{requirement}, but {pins[name]} is pinned"


@pytest.mark.parametrize("route", ["a100", "a100_torch24"])
def test_pins_of_both_cuda_routes_are_within_the_ranges(repository: Path, project: dict, route: str):
    text = (repository / "requirements" / f"{route}.txt").read_text()
    (shared,) = re.findall(r"^-r (\S+)$", text, re.MULTILINE)
    lines = text + (repository / "requirements" / shared).read_text()
    # spconv's distributions are named by the version of CUDA.
    pins = {re.sub(r"^spconv-cu\d+$", "spconv", name): v for name, v in re.findall(r"^([\w.-]+)==(\S+)$", lines, re.M)}
    # Whose dependencies are left out, and what is compiled: pinned in the commands of the first route.
    commands = (repository / "requirements" / "a100.txt").read_text()
    pins |= dict(re.findall(r"--no-deps (mmcv|mmdet3d)==(\S+)", commands))
    ranges = _requirements(project, "core", "driving")
    for name in ("torch", "numpy", "mmengine", "mmcv", "mmdet", "mmdet3d", "spconv", "transformers", "safetensors"):
        assert all(r.specifier.contains(pins[name]) for r in ranges[name]), f"{name} {pins[name]}"
        assert SpecifierSet(SUPPORTED.get(name, "")).contains(pins[name]), f"{name} {pins[name]}"


def test_the_oldest_torch_is_the_one_that_is_checked_and_has_a_route(repository: Path, project: dict):
    (requirement,) = _requirements(project, "core")["torch"]
    assert str(requirement.specifier) == SUPPORTED["torch"]
    oldest = SUPPORTED["torch"].removeprefix(">=")
    assert f"\ntorch=={oldest}." in (repository / "requirements" / "a100_torch24.txt").read_text()


@pytest.mark.parametrize("name", ["mmengine", "mmcv", "mmdet", "mmdet3d", "transformers", "spconv"])
def test_ranges_of_the_stack_are_within_those_that_are_checked_at_import(project: dict, name: str):
    (requirement,) = _requirements(project, "driving")[name]
    checked = set(SpecifierSet(SUPPORTED[name]))
    assert checked <= set(requirement.specifier), f"{requirement}, but {SUPPORTED[name]} is checked"


def test_the_range_of_python_is_the_one_that_is_checked_at_import(project: dict):
    assert project["requires-python"] == SUPPORTED["python"]


def test_the_version_is_the_same_everywhere(repository: Path, project: dict):
    citation = (repository / "CITATION.cff").read_text()
    assert project["version"] == ponderv2.__version__
    assert f"\nversion: {ponderv2.__version__}\n" in citation


def test_the_environment_of_a_gpu_is_not_that_of_make_setup(repository: Path):
    text = (repository / "requirements" / "a100.txt").read_text()
    assert "not that of `make setup`" in text.splitlines()[0]
    assert ".venv-a100/bin/pip" in text
    assert re.search(r"\.venv/bin/(pip|torchrun)", text) is None


@pytest.mark.parametrize(("version", "refused"), [("2.8.0+cu128", True), ("2.13.0", False), ("2.13.0+cpu", False)])
def test_make_setup_leaves_an_environment_with_another_torch(repository: Path, tmp_path: Path, version, refused):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    # Answers what version of torch it has, and fails at the first installation, so that nothing is installed.
    python.write_text(f'#!/bin/sh\ncase "$1" in -c) echo {version};; *) exit 7;; esac\n')
    python.chmod(0o755)
    done = subprocess.run(["make", "setup", f"VENV={tmp_path}"], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 2
    assert (f"has torch {version}, and make setup installs 2.13.0" in done.stderr) == refused
    assert ("[2/4]" in done.stdout) != refused
