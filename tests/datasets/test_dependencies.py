"""Inside of `datasets` imports point one way: data sets, then transforms, then `prepare` and `verify`."""

import pytest

from tests.architecture.sources import PACKAGES, Import, imports_of

DATASETS = PACKAGES["ponderv2"] / "datasets"


def part_of(found: Import) -> str:
    """The folder of `datasets` that a file of it is in, "" for its own modules."""
    parts = found.file.relative_to(DATASETS).parts
    return parts[0] if len(parts) > 1 else ""


def target_of(found: Import) -> str:
    """The folder of `datasets` that is imported, "" for its own modules."""
    parts = found.module.split(".")[2:3]
    return parts[0] if parts and parts[0] in ("transforms", "prepare", "verify") else ""


@pytest.mark.parametrize(
    ("part", "allowed"),
    [
        ("", {""}),
        ("transforms", {"", "transforms"}),
        ("prepare", {"", "transforms", "prepare"}),
        ("verify", {"", "verify"}),
    ],
)
def test_imports_inside_of_datasets_point_one_way(part: str, allowed: set[str]):
    wrong = [
        str(found)
        for found in imports_of("ponderv2")
        if found.file.is_relative_to(DATASETS)
        # What the folder re-exports it must import.
        and found.file != DATASETS / "__init__.py"
        and found.module.startswith("ponderv2.datasets")
        and part_of(found) == part
        and target_of(found) not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_modules_of_datasets_name_each_other_instead_of_the_whole_folder():
    wrong = [
        str(found)
        for found in imports_of("ponderv2")
        if found.file.is_relative_to(DATASETS) and found.module == "ponderv2.datasets"
    ]
    assert not wrong, "\n".join(wrong)


def test_only_evaluation_imports_what_prepares_info_files_and_nothing_what_verifies_them():
    rooms = {"prepare": {"evaluation"}, "verify": set()}
    wrong = [
        str(found)
        for found in imports_of("ponderv2")
        if not found.file.is_relative_to(DATASETS)
        and found.module.startswith("ponderv2.datasets")
        and (part := target_of(found)) in rooms
        and found.file.relative_to(PACKAGES["ponderv2"]).parts[0] not in rooms[part]
    ]
    assert not wrong, "\n".join(wrong)
