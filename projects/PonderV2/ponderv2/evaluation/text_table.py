"""Tables of scores as text."""

import io

from rich.console import Console
from rich.table import Table


def table_text(table: Table, width: int = 160) -> str:
    """Return a table as it is printed, in lines of at most `width` characters; nothing in a cell is markup."""
    text = io.StringIO()
    Console(file=text, width=width, markup=False, emoji=False).print(table)
    return text.getvalue().strip()
