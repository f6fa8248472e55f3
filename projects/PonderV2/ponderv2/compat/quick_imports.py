"""Import the stack in half the time: without what it imports only in case, and without collecting garbage meanwhile.

mmdet imports scikit-learn for tracking and transformers for detectors that read text, and mmengine transformers for an
optimiser; each import is guarded by `except ImportError`, so the packages go on without. Nothing here uses those parts.
Importing transformers and scikit-learn first brings them back. Garbage collection goes through all objects again and
again while hundreds of thousands are made, nearly all of which stay.
"""

import atexit
import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from ponderv2.garbage_collection import no_garbage_collection

LEFT_OUT: dict[str, tuple[str, ...]] = {
    "torch": (),
    "mmengine.optim": ("transformers",),
    "mmdet.models": ("sklearn", "transformers"),
    "mmdet.datasets": ("transformers",),
    "mmdet3d": (),
    "mmdet3d.structures": (),
    "mmdet3d.datasets": (),
    "transformers": (),
}
"""Packages of the stack that take long to import, and the packages that are left out meanwhile."""


def install_quick_imports() -> None:
    """Import the packages of `LEFT_OUT` quickly from here on; safe to call any number of times."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
        # Else the collection on leaving goes through all of it once more, for most of a second.
        atexit.register(gc.freeze)


class _Finder(MetaPathFinder):
    """Finds the packages of `LEFT_OUT` as Python does, and has them loaded by a `_Loader`."""

    def find_spec(
        self, fullname: str, path: Iterable[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in LEFT_OUT:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, LEFT_OUT[fullname])
        return spec


class _Loader(Loader):
    """Loads a package as its own loader does, while other packages cannot be imported and no garbage is collected."""

    def __init__(self, loader: Loader, left_out: tuple[str, ...]) -> None:
        self.loader, self.left_out = loader, left_out

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # What inspects the package later finds its own loader.
        module.__loader__ = module.__spec__.loader = self.loader
        with _refused(self.left_out), no_garbage_collection():
            self.loader.exec_module(module)


@contextmanager
def _refused(packages: tuple[str, ...]) -> Iterator[None]:
    """Refuse to import packages, except those that are imported already."""
    refusal = _Refusal(packages)
    sys.meta_path.insert(0, refusal)
    try:
        yield
    finally:
        sys.meta_path.remove(refusal)


class _Refusal(MetaPathFinder):
    def __init__(self, packages: tuple[str, ...]) -> None:
        self.packages = packages

    def find_spec(
        self, fullname: str, path: Iterable[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self.packages and fullname.partition(".")[0] not in sys.modules:
            raise ImportError(f"{fullname} is left out while the stack is imported", name=fullname)
        return None
