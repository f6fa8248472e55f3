"""Blocks of a page in Markdown that a program writes: each between two lines of comment that name it."""

import re
from collections.abc import Callable, Iterator

from ponderv2.errors import UserError

END = "<!-- end -->"
_BEGIN = re.compile(r"<!-- table: (.*) -->")


class BlockError(UserError):
    """Raised for markers that do not form blocks; the message names the page and its line."""


def replace_blocks(text: str, page: str, make: Callable[[str], str]) -> str:
    """Return a page with the inside of each block made anew; the markers and all outside of the blocks stay.

    A block begins with the line `<!-- table: NAME -->` and ends with the line `<!-- end -->`. A comment ends where it
    is closed (CommonMark, section 4.6), so that a table may follow it at once.

    Args:
        text: the page.
        page: its name, for errors.
        make: returns the content of the block of a name.

    Raises:
        BlockError: a block does not end, ends twice or begins in another one, or a content has lines of markers.
    """
    lines = text.splitlines()
    found, at = [], 0
    for begin, end, name in _blocks(lines, page):
        content = make(name).strip("\n").splitlines()
        if any(line.strip() == END or _BEGIN.fullmatch(line.strip()) for line in content):
            raise BlockError(f"{page}, line {begin + 1}: the content of {name} has a line that is a marker")
        found += [*lines[at : begin + 1], *content]
        at = end
    return "\n".join([*found, *lines[at:]]) + "\n"


def names_of_blocks(text: str, page: str) -> list[str]:
    """Return the names of the blocks of a page in their order.

    Raises:
        BlockError: a block does not end, ends twice or begins in another one.
    """
    return [name for _, _, name in _blocks(text.splitlines(), page)]


def _blocks(lines: list[str], page: str) -> Iterator[tuple[int, int, str]]:
    """Yield the first line, the last line and the name of each block; lines are counted from 0."""
    begun: tuple[int, str] | None = None
    for k, line in enumerate(lines):
        if (match := _BEGIN.fullmatch(line.strip())) is not None:
            if begun is not None:
                raise BlockError(f"{page}, line {k + 1}: table {match[1]} begins before {begun[1]} has its {END!r}")
            begun = (k, match[1])
        elif line.strip() == END:
            if begun is None:
                raise BlockError(f"{page}, line {k + 1}: {END!r} without a table that begins before it")
            yield begun[0], k, begun[1]
            begun = None
    if begun is not None:
        raise BlockError(f"{page}, line {begun[0] + 1}: table {begun[1]} has no {END!r}")
