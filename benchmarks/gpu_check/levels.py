"""Levels of the check: what is installed decides how far it goes."""

from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

LEVELS = ("torch", "mmcv", "spconv")
"""Each level needs those before it."""

NEEDS = {
    "torch": ("torch", "numpy"),
    "mmcv": ("mmengine", "mmcv", "mmcv._ext", "mmdet", "mmdet3d", "transformers", "scipy", "safetensors"),
    "spconv": ("spconv", "cumm"),
}
"""The modules without which a level is skipped. `mmcv._ext` is absent from mmcv-lite, which has no operators."""

DISTRIBUTIONS = ("torch", "numpy", "mmengine", "mmcv", "mmdet", "mmdet3d", "transformers", "spconv", "cumm", "pytest")


def missing(level: str) -> list[str]:
    """Return the modules that a level or one before it needs and that are not installed; none is imported."""
    upto = LEVELS[: LEVELS.index(level) + 1]
    return [module for name in upto for module in NEEDS[name] if not _is_installed(module)]


def versions() -> dict[str, str]:
    """Return the installed versions by distribution; those of CUDA builds have the build's name."""
    found = {}
    for distribution in metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        if name in DISTRIBUTIONS or name.startswith(("spconv-cu", "cumm-cu")):
            found.setdefault(name, distribution.version)
    return dict(sorted(found.items()))


def _is_installed(module: str) -> bool:
    package, _, inner = module.partition(".")
    spec = find_spec(package)
    if spec is None or not inner:
        return spec is not None
    # To ask for the spec of what is inside would import the package.
    return any(any(Path(folder).glob(f"{inner}*")) for folder in spec.submodule_search_locations or ())
