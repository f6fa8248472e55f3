"""Names: the field's own terms, one spelling, and no two files that are called alike."""

import re
from collections import defaultdict

import pytest

from tests.architecture.sources import BESIDE, PACKAGES, REPOSITORY, identifiers, python_files

HOUSE_WORDS = re.compile(
    r"made_up|in_pieces|read_slope|as_table|RayTargets|SampleRays|keep_volumes|of_copies|Paste[A-Z]|PASTE_|(?<!no_)paste_"
)
"""Words that stood where the field has a term. The flag `--no-paste-database` of tools/create_data.py stays."""

BRITISH = re.compile(r"colour|centre|normalis|optimis|initialis|voxelis|grey", re.IGNORECASE)


def test_files_of_the_packages_have_names_of_their_own():
    places = defaultdict(list)
    for root in PACKAGES.values():
        for path in python_files(root):
            if path.name != "__init__.py":
                places[path.name].append(str(path.relative_to(REPOSITORY)))
    alike = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert not alike


@pytest.mark.parametrize("folder", ["projects", *BESIDE])
def test_names_are_the_terms_of_the_field(folder: str):
    found = _matches(folder, HOUSE_WORDS)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", ["projects", "studies", "benchmarks", "tools"])
def test_names_have_one_spelling(folder: str):
    found = _matches(folder, BRITISH)
    assert not found, "\n".join(found)


def _matches(folder: str, pattern: re.Pattern) -> list[str]:
    return [
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in python_files(REPOSITORY / folder)
        for name in sorted({path.stem} | identifiers(path))
        # The name of a test is a sentence.
        if pattern.search(name) and not name.startswith("test_")
    ]
