"""The Python in docs/architecture.md is Python: people copy it. Links of all pages lead somewhere."""

import ast
import re
from pathlib import Path

import pytest


def snippets(repository: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (repository / "docs/architecture.md").read_text(), flags=re.DOTALL)


def test_it_shows_where_an_encoder_a_lift_a_head_and_a_data_set_go(repository):
    classes = {node.name for text in snippets(repository) for node in ast.parse(text).body}
    assert classes == {"RadarEncoder", "AttentionLift", "OccupancyHead", "WaymoDataset"}


DOCUMENTS = [path.stem for path in (Path(__file__).parents[2] / "docs").glob("*.md")]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_its_links_lead_somewhere(repository, document):
    folder = repository / "docs"
    links = re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)", (folder / f"{document}.md").read_text())
    assert [link for link, _ in links if not (folder / link).exists()] == []
    to = [(folder / (link or f"{document}.md"), anchor) for link, anchor in links if anchor]
    assert [(path.name, anchor) for path, anchor in to if path.suffix == ".md" and anchor not in anchors(path)] == []


def anchors(page: Path) -> set[str]:
    """Names of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
