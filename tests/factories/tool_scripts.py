"""The scripts of `tools/` as modules, so that tests can call them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def load_tool(repository: Path, name: str) -> ModuleType:
    """Import `tools/<name>.py` without running it."""
    spec = importlib.util.spec_from_file_location(name, repository / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call_tool(repository: Path, name: str, arguments: list, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    """Run a tool in this process; returns its exit code and what it wrote on the standard error."""
    capsys.readouterr()
    code = load_tool(repository, name).main([str(argument) for argument in arguments])
    return code, capsys.readouterr().err
