"""docs/benchmarks.md is short, and tables of all pages are those of docs/results."""

from studies.marked_blocks import names_of_blocks
from studies.result_parts import part_files
from studies.result_tables import TABLES, make_tables


def test_it_has_at_most_250_lines(repository):
    assert len((repository / "docs" / "benchmarks.md").read_text().splitlines()) <= 250


def test_tables_and_pictures_are_those_of_the_results(repository):
    changed = make_tables(repository / "docs", check=True)
    assert changed == [], "run tools/make_tables.py"


def test_each_file_of_results_is_shown_once(repository):
    pages = (repository / "docs").glob("*.md")
    shown = [name for page in pages for name in names_of_blocks(page.read_text(), page.name)]
    assert len(shown) == len({*shown})
    assert {*shown} <= {*TABLES}
    results = repository / "docs" / "results"
    assert {*results.iterdir()} == {path for name in shown for path in part_files(results, name)}
