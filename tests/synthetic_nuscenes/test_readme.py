"""The examples of the project's README run as they stand."""

import re
from pathlib import Path

import pytest
from nuscenes import NuScenes


def _examples() -> list[str]:
    text = (Path(__file__).parents[2] / "projects" / "SyntheticNuScenes" / "README.md").read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_first_example_prints_what_it_says(capsys: pytest.CaptureFixture) -> None:
    exec(compile(_examples()[0], "README.md", "exec"), {})
    shape, columns, classes = capsys.readouterr().out.splitlines()
    assert shape == "(180, 320, 3)"
    assert columns == "5"
    # Which classes are around the car is the scene's own affair.
    assert {"'car'", "'pedestrian'"} <= set(classes.strip("[]").split(", "))


def test_the_second_example_makes_a_data_set_that_the_devkit_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(_examples()[1], "README.md", "exec"), {})
    assert len(NuScenes("v1.0-mini", "streets", verbose=False).sample) == 2
