"""The lines that docs/faq.md explains are lines that the programs print."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FAQ = REPOSITORY / "docs" / "faq.md"
# Lines of compilers, and of Python's own errors, behind ours.
OF_OTHERS = ("Python.h", "no space left on device")


def quoted() -> list[str]:
    return re.findall(r"^- \*\*`(.+?)`\*\*", FAQ.read_text(), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def sources() -> str:
    files = [path for folder in ("projects", "studies", "tools") for path in (REPOSITORY / folder).rglob("*.py")]
    # Texts that go over several lines of code are one.
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text() for path in files))


def test_it_explains_twenty_things_and_more():
    entries = re.findall(r"^- \*\*.+\*\*.*\n  ", FAQ.read_text(), flags=re.MULTILINE)
    assert len(entries) >= 20


@pytest.mark.parametrize("line", quoted())
def test_each_line_is_one_that_is_printed(line, sources):
    if line.startswith(OF_OTHERS):
        pytest.skip("not ours")
    # What varies is a name, a number or left out; the longest run of other words has to be in a message.
    parts = re.split(r"…|\d[\d.]*|'[^']*'|nuscenes_\S+|--cfg-options \S+", line)
    longest = max((part.strip(" :;,/") for part in parts), key=len)
    assert len(longest) > 12, longest
    assert longest in sources, longest
