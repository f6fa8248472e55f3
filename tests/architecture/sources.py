"""Reading Python sources without running them: files, imports and identifiers."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGES = {
    "ponderv2": REPOSITORY / "projects" / "PonderV2" / "ponderv2",
    "synthetic_nuscenes": REPOSITORY / "projects" / "SyntheticNuScenes" / "synthetic_nuscenes",
}
BESIDE = ("studies", "benchmarks", "tools", "tests", "configs")
"""Folders of the repository with Python that is in no package."""


@dataclass(frozen=True)
class Import:
    """One import statement, wherever in a file it stands."""

    file: Path
    line: int
    module: str
    """Absolute dotted name of the module; relative imports are resolved."""

    def __str__(self) -> str:
        return f"{self.file.relative_to(REPOSITORY)}:{self.line} imports {self.module}"


def python_files(folder: Path) -> list[Path]:
    """All Python files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imports_of(package: str) -> Iterator[Import]:
    """All imports of a package, those inside functions included."""
    root = PACKAGES[package]
    for file in python_files(root):
        # The package that a relative import of one level starts from.
        here = (package, *file.relative_to(root).parent.parts)
        for node in ast.walk(ast.parse(file.read_text(), str(file))):
            yield from (Import(file, node.lineno, module) for module in _modules(node, here))


def named_modules(package: str) -> Iterator[Import]:
    """All texts in a package that are the dotted name of one of its own modules, as `importlib` takes them."""
    root = PACKAGES[package]
    rooms = {child.stem for child in root.iterdir()}
    pattern = re.compile(rf"{package}\.(\w+)(\.\w+)*")
    for file in python_files(root):
        for node in ast.walk(ast.parse(file.read_text(), str(file))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                match = pattern.fullmatch(node.value)
                if match and match[1] in rooms:
                    yield Import(file, node.lineno, node.value)


def _modules(node: ast.AST, here: tuple[str, ...]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    if node.level:
        base = ".".join(here[: len(here) - node.level + 1])
        module = f"{base}.{node.module}" if node.module else base
    else:
        module = node.module
    # `from ponderv2 import compat` names a folder.
    return [f"{module}.{alias.name}" for alias in node.names] if module in PACKAGES else [module]


def identifiers(file: Path) -> set[str]:
    """All names in a file: variables, functions, classes, arguments, attributes and modules; no words of texts."""
    tokens = tokenize.generate_tokens(io.StringIO(file.read_text()).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}
