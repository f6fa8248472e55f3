"""docs/memory_and_speed.md: its recipe loads, and its links lead somewhere."""

import re

from ponderv2.engine import load_config
from tests.docs.test_readme import blocks


def test_the_recipe_that_it_shows_adds_hooks_to_those_that_were_there(repository, tmp_path):
    (text,) = blocks((repository / "docs" / "memory_and_speed.md").read_text(), "python")
    configs = tmp_path / "configs"
    configs.mkdir()
    for name in ("pretrain", "_base_"):
        (configs / name).symlink_to(repository / "configs" / name)
    path = tmp_path / re.search(r"# (\S+)", text).group(1)
    path.parent.mkdir()
    path.write_text(text)
    parent = re.search(r"\.\.pretrain\.(\w+)", text).group(1)
    before = load_config(repository / "configs" / "pretrain" / f"{parent}.py").custom_hooks
    hooks = load_config(path).custom_hooks
    assert [hook["type"] for hook in hooks[: len(before)]] == [hook["type"] for hook in before]
    assert [hook["type"].__name__ for hook in hooks[len(before) :]] == ["RecomputeHook", "EMAHook"]


def test_its_links_lead_somewhere(repository):
    text = (repository / "docs" / "memory_and_speed.md").read_text()
    links = re.findall(r"\]\((?!https?://)([^)#]+)", text)
    assert [link for link in links if not (repository / "docs" / link).exists()] == []
