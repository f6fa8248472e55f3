"""Tables of input that tools cannot use, and what they say to it."""

from collections.abc import Callable

import pytest

BadInputs = dict[str, list[tuple[list[str], str]]]
"""For each tool command lines, with the names of `places` in braces, and a pattern of the line that is told."""

Refuse = Callable[[str, list[str], str], None]
"""Runs a tool with a command line and checks that it tells the line; the fixture `refuse`."""


def each_of(table: BadInputs) -> pytest.MarkDecorator:
    """Run a test for each row of a table."""
    rows = [pytest.param(tool, *row, id=f"{tool}-{k}") for tool, rows in table.items() for k, row in enumerate(rows)]
    return pytest.mark.parametrize(("tool", "arguments", "line"), rows)
