"""The wheel in an environment that has torch, numpy and nothing else."""

import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

SHIPPED = ("pyproject.toml", "README.md", "LICENSE", "projects", "tools", "tests", "studies", "benchmarks", "configs")
RENDER = """
    import torch
    from ponderv2.rendering import HierarchicalSampler, NeuSOpacity, SDFField, VolumeRenderer
    from ponderv2.structures import FeatureVolume, VoxelGrid

    grid = VoxelGrid(point_cloud_range=(-8, -8, -2, 8, 8, 2), size=(16, 16, 4))
    volume = FeatureVolume(torch.randn(1, 32, *grid.shape), grid)
    renderer = VolumeRenderer(SDFField(feature_channels=32), NeuSOpacity(), HierarchicalSampler(16, 8)).eval()
    directions = torch.nn.functional.normalize(torch.randn(1, 100, 3), dim=-1)
    with torch.no_grad():
        out = renderer(volume, torch.zeros(1, 100, 3), directions)
    assert out.rgb.shape == (1, 100, 3) and out.depth.isfinite().all() and out.depth.max() > 0
"""
BARE = """
    import importlib.util
    for name in ("mmengine", "mmcv", "mmdet3d", "spconv", "transformers", "jaxtyping", "scipy", "tests", "studies"):
        assert importlib.util.find_spec(name) is None, name
    import ponderv2.geometry
    print(ponderv2.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the checkout stays as it is."""
    repository = Path(__file__).parents[2]
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in SHIPPED:
        if (repository / name).is_dir():
            shutil.copytree(repository / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(repository / name, copy / name)
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", out, copy)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interpreter of a fresh environment that sees torch, numpy and what torch itself requires."""
    root = tmp_path_factory.mktemp("bare")
    links = root / "torch_and_numpy"
    links.mkdir()
    for name in _closure("torch", "numpy"):
        distribution = metadata.distribution(name)
        for top in {path.parts[0] for path in distribution.files or []} - {"..", "__pycache__"}:
            # Several distributions may share a folder.
            if not (links / top).is_symlink():
                (links / top).symlink_to(distribution.locate_file(top))
    _run(sys.executable, "-m", "venv", "--without-pip", root / "venv")
    (packages,) = (root / "venv" / "lib").glob("python*/site-packages")
    (packages / "torch_and_numpy.pth").write_text(f"{links}\n")
    return root / "venv" / "bin" / "python"


def test_the_wheel_holds_both_packages_and_nothing_that_lies_beside_them(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert folders == {"ponderv2", "synthetic_nuscenes"}
    assert {"ponderv2/rendering/renderer.py", "synthetic_nuscenes/command.py"} <= set(names)
    assert "synthetic_nuscenes/output/benchmark_hashes.json" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_wheel_renders_where_there_is_torch_and_numpy_alone(wheel: Path, bare_python: Path, tmp_path: Path):
    _run(sys.executable, "-m", "pip", "--python", bare_python, "install", "-q", "--no-deps", "--no-index", wheel)
    where = _run(bare_python, "-c", textwrap.dedent(BARE), cwd=tmp_path)
    assert str(bare_python.parents[1]) in where
    _run(bare_python, "-c", textwrap.dedent(RENDER), cwd=tmp_path)


def _closure(*names: str) -> set[str]:
    """Distributions with everything they require, as far as it is installed here."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        for requirement in map(Requirement, metadata.requires(name) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                todo.append(requirement.name)
    return found


def _run(*command: object, cwd: Path | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=environment, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout
