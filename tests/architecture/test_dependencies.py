"""Dependencies point one way, for every folder of the packages."""

import ast
import sys

import pytest

from tests.architecture.sources import BESIDE, PACKAGES, Import, imports_of, named_modules, python_files

_BASE = {"errors", "shapes", "structures", "geometry"}
_STACK = _BASE | {"garbage_collection", "compat", "registry"}

ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "garbage_collection": set(),
    "shapes": set(),
    "devices": {"errors"},
    "folder_lock": {"errors"},
    "atomic_files": set(),
    "npz_files": {"errors"},
    "progress_bar": {"errors"},
    "structures": {"errors", "shapes"},
    "geometry": {"errors", "shapes", "structures"},
    "compat": {"errors", "garbage_collection"},
    "command_line": {"errors", "compat"},
    "registry": {"errors", "compat"},
    "rendering": _BASE,
    "masking": _BASE,
    "lifting": _STACK,
    "datasets": _STACK | {"folder_lock", "atomic_files", "progress_bar"},
    "visualization": _BASE,
    "encoders": _STACK | {"masking", "lifting"},
    "heads": _STACK | {"rendering", "encoders"},
    "checkpoints": _STACK | {"atomic_files"},
    "teachers": _STACK | {"atomic_files", "npz_files", "checkpoints", "rendering"},
    "models": _STACK | {"teachers", "masking", "rendering", "encoders", "heads", "checkpoints"},
    "evaluation": _STACK | {"folder_lock", "atomic_files", "npz_files", "rendering", "datasets"},
    "retrieval": _STACK | {"atomic_files", "teachers", "models", "evaluation"},
    "engine": _STACK
    | {"devices", "folder_lock", "atomic_files", "progress_bar"}
    | {"datasets", "evaluation", "visualization", "checkpoints", "models", "retrieval"},
}
"""Every folder or module of `ponderv2`, and which of those above it it may import."""

BY_NAME = {"checkpoints": {"encoders", "lifting", "models"}}
"""What a room may name in texts: the allow-list of encoder files imports a class when a file asks for it."""

BARE = {"structures", "geometry", "rendering"}
"""Rooms that run on a bare machine; `shapes` does without jaxtyping there."""


def _room(imported: Import) -> str:
    """The room of the importing file; the package's own `__init__.py` is in none."""
    return imported.file.relative_to(PACKAGES["ponderv2"]).parts[0].removesuffix(".py")


def test_every_folder_and_module_has_a_place_in_the_table():
    root = PACKAGES["ponderv2"]
    found = {path.relative_to(root).parts[0].removesuffix(".py") for path in python_files(root)} - {"__init__"}
    assert found == set(ROOMS)


def test_the_table_goes_one_way():
    above = set()
    for room, allowed in ROOMS.items():
        assert allowed <= above, f"{room} may import {allowed - above}, which stand below it"
        above.add(room)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_that_the_table_allows(room: str):
    allowed = {"ponderv2.__version__", *(f"ponderv2.{name}" for name in ROOMS[room] | {room})}
    wrong = [
        str(found)
        for found in imports_of("ponderv2")
        if _room(found) == room
        and found.module.split(".")[0] == "ponderv2"
        and ".".join(found.module.split(".")[:2]) not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_structures_geometry_and_rendering_import_torch_and_numpy_alone():
    allowed = {"torch", "numpy", "ponderv2", *sys.stdlib_module_names}
    wrong = [
        str(found)
        for found in imports_of("ponderv2")
        if _room(found) in BARE and found.module.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_rooms_are_named_in_texts_by_allow_lists_only():
    wrong = [
        str(found)
        for found in named_modules("ponderv2")
        if found.module.split(".")[1] not in BY_NAME.get(_room(found), set()) | {_room(found)}
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_the_package_itself_imports_nothing_else():
    tree = ast.parse((PACKAGES["ponderv2"] / "__init__.py").read_text())
    at_the_top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in at_the_top] == ["from typing import TYPE_CHECKING"]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_neither_each_other_nor_what_lies_beside_them(package: str):
    refused = (set(PACKAGES) | set(BESIDE)) - {package}
    wrong = [str(found) for found in imports_of(package) if found.module.split(".")[0] in refused]
    assert not wrong, "\n".join(wrong)
