"""A table of several transfer studies: the rows of all, where they can be compared."""

import json
from pathlib import Path

import pytest

from studies.measured_values import ResultsError
from studies.paired_scores import compare, summarize
from studies.result_tables import make_tables


def _side(score: float) -> dict:
    return dict(mean=score, std=None, values=[score])


def _row(model: str, score: float, fraction: float = 0.25, **changed) -> dict:
    row = {"model": model, "protocol": "all", "fraction": fraction, "metric": "mAP", "n": 1, "recipe": "a.py"}
    return {**row, "steps": 500, "scratch": _side(score), **changed}


def _study(*rows: dict, **changed) -> dict:
    data = {"benchmark": "streets-v1", "format": 2, "sha256": {"all": "aa"}}
    return {"rows": [*rows], "seeds": [0], "pretrain_seeds": [0], "data": data, "failed": [], **changed}


def _started(model: str, fraction: float, changes: list[str]) -> dict:
    compared = compare(summarize([0.04]), summarize([0.05]), 1)
    return _row(model, 0.04, fraction, pretrained={**_side(0.05), **compared, "changes": changes})


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    (tmp_path / "page.md").write_text("<!-- table: transfer_study -->\n<!-- end -->\n")
    return tmp_path


def _write(docs: Path, name: str, content: dict) -> None:
    (docs / "results" / f"{name}.json").write_text(json.dumps(content))


def _rows_of_page(docs: Path) -> list[tuple[str, str]]:
    lines = [line.strip("| ").split(" | ") for line in (docs / "page.md").read_text().splitlines()]
    return [(cells[0], cells[2]) for cells in lines if cells[1:2] == ["all"]]


def test_rows_of_all_parts_stand_by_model_and_share_in_table_and_picture(docs):
    _write(docs, "transfer_study", _study(_row("lidar", 0.04, 0.1), _row("lidar", 0.09, 1.0)))
    make_tables(docs, check=False)
    _write(docs, "transfer_study-unet", _study(_row("unet", 0.3), failed=["runs/x"]))
    _write(docs, "transfer_study-few", _study(_row("lidar", 0.05, 0.25)))
    picture = docs / "images" / "transfer_study.png"
    assert make_tables(docs, check=True) == [str(picture), str(docs / "page.md")]
    make_tables(docs, check=False)
    assert _rows_of_page(docs) == [("lidar", "10%"), ("lidar", "25%"), ("lidar", "100%"), ("unet", "25%")]
    page = (docs / "page.md").read_text()
    assert "Measured on streets-v1; 1 fine-tuning × 1 pre-training seeds; FAILED: runs/x." in page
    assert make_tables(docs, check=True) == []


def test_rows_of_the_same_benchmark_with_other_hashes_are_told(docs):
    other = {"benchmark": "streets-v1", "format": 2, "sha256": {"all": "bb"}}
    _write(docs, "transfer_study", _study(_row("lidar", 0.04, 0.1)))
    _write(docs, "transfer_study-more", _study(_row("lidar", 0.04), _row("camera", 0.01), data=other))
    make_tables(docs, check=False)
    told = "seeds; files with other hashes, as another kind of CPU makes, for lidar 25%, camera 25%.\n"
    assert told in (docs / "page.md").read_text()


def test_a_part_alone_is_shown(docs):
    _write(docs, "transfer_study-camera", _study(_row("camera", 0.01)))
    make_tables(docs, check=False)
    assert _rows_of_page(docs) == [("camera", "25%")]


def test_data_of_ones_own_have_to_be_the_same_files(docs):
    for name, digest in (("transfer_study", "aa"), ("transfer_study-b", "bb")):
        _write(docs, name, _study(_row(name[-1], 0.04), data={"benchmark": None, "format": 2, "sha256": digest}))
    with pytest.raises(ResultsError, match=r"transfer_study-b\.json: data: expected those of transfer_study\.json"):
        make_tables(docs, check=False)


def test_a_start_that_changes_something_in_one_part_alone_is_refused(docs):
    _write(docs, "transfer_study", _study(_started("lidar", 0.1, [])))
    _write(docs, "transfer_study-part", _study(_started("lidar", 0.25, ["encoder rate 0.1"])))
    with pytest.raises(ResultsError, match=r"lidar 25%, mAP: pretrained\.changes: expected \[\] as in transfer_study"):
        make_tables(docs, check=False)


@pytest.mark.parametrize(
    ("part", "line"),
    [
        (_study(_row("camera", 0.01), seeds=[0, 1]), "seeds: expected those of transfer_study.json"),
        (_study(_row("camera", 0.01), pretrain_seeds=[1]), "pretrain_seeds: expected those of transfer_study.json"),
        (_study(_row("camera", 0.01), data={"benchmark": "streets-mini", "format": 2}), "data: expected those of"),
        (_study(_row("camera", 0.01), data={"benchmark": "streets-v1", "format": 3}), "data: expected those of"),
        (_study(_row("camera", 0.01), data={"benchmark": "streets-v1"}), "expected what transfer studies write"),
        (_study(_row("camera", 0.01), failed=None), "expected what transfer studies write"),
        (_study(_row("lidar", 0.01)), "lidar 25%, mAP: transfer_study.json has the same row"),
        (_study(_row("camera", 0.01), _row("camera", 0.01)), "camera 25%, mAP: transfer_study-part.json has the same"),
        (_study(_row("lidar", 0.01, 0.1, protocol="frozen")), "protocol: expected 'all' as in transfer_study.json"),
        (_study(_row("lidar", 0.01, 0.1, steps=90)), "steps: expected 500 as in transfer_study.json, found 90"),
        (_study(_row("lidar", 0.01, 0.1, recipe="b.py")), "recipe: expected 'a.py' as in transfer_study.json"),
        (_study(_row("camera", 0.01, metric=["mAP"])), "rows[0].metric: expected a name without bars"),
        (_study(), "rows: expected a list with entries, found []"),
        ({"rows": [3]}, "expected what the study writes"),
    ],
)
def test_a_part_that_does_not_belong_to_the_table_is_named(docs, part, line):
    _write(docs, "transfer_study", _study(_row("lidar", 0.04)))
    _write(docs, "transfer_study-part", part)
    with pytest.raises(ResultsError) as error:
        make_tables(docs, check=False)
    assert "transfer_study-part.json" in str(error.value)
    assert line in str(error.value)


def test_a_table_of_another_kind_has_no_parts(docs):
    (docs / "page.md").write_text("<!-- table: lifts -->\n<!-- end -->\n")
    _write(docs, "lifts-more", {"rows": []})
    with pytest.raises(ResultsError, match=r"lifts\.json: this table has no parts, found lifts-more\.json"):
        make_tables(docs, check=False)
