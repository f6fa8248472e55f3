"""The lines that docs/faq.md explains are lines that the programs print."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FAQ = REPOSITORY / "docs" / "faq.md"
# Lines of compilers, and of Python's own errors, behind ours.
OF_OTHERS = ("Python.h", "no space left on device", "train.py: unrecognized arguments")


def quoted() -> list[str]:
    return re.findall(r"^- \*\*`(.+?)`\*\*", FAQ.read_text(), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def messages() -> list[str]:
    """The texts in the code, with … where a value goes."""
    found = []
    for folder in ("projects", "studies", "tools"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                    found.append("".join(parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return found


def test_it_explains_twenty_things_and_more():
    entries = re.findall(r"^- \*\*.+\*\*.*\n  ", FAQ.read_text(), flags=re.MULTILINE)
    assert len(entries) >= 20


@pytest.mark.parametrize("line", quoted())
def test_each_line_is_one_that_is_printed(line, messages):
    if line.startswith(OF_OTHERS):
        pytest.skip("not ours")
    # Names and numbers in a line are examples; three words in a row of it are the message's own.
    words = line.split()
    runs = [" ".join(words[k : k + 3]) for k in range(max(1, len(words) - 2))]
    assert any(len(run) > 10 and run in text for run in runs for text in messages)
