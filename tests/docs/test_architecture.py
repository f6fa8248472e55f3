"""The Python in docs/architecture.md is Python: people copy it."""

import ast
import re
from pathlib import Path

import pytest


def snippets(repository: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (repository / "docs/architecture.md").read_text(), flags=re.DOTALL)


def test_it_shows_where_an_encoder_a_lift_a_head_and_a_data_set_go(repository):
    classes = {node.name for text in snippets(repository) for node in ast.parse(text).body}
    assert classes == {"RadarEncoder", "AttentionLift", "OccupancyHead", "WaymoDataset"}


@pytest.mark.parametrize(
    "document", ["architecture", "benchmarks", "condense", "data", "model_zoo", "running", "streets_v1"]
)
def test_its_links_lead_somewhere(repository, document):
    folder = repository / "docs"
    links = re.findall(r"\]\((?!https?://)([^)#]+)", (folder / f"{document}.md").read_text())
    assert [link for link in links if not (folder / link).exists()] == []
