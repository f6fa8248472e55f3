"""A table of several files: the rows of all, where they are of the same data and seeds."""

import json
from pathlib import Path

import pytest

from studies.measured_values import ResultsError
from studies.result_tables import make_tables


def _study(model: str, score: float, **changed) -> dict:
    row = {"model": model, "protocol": "all", "fraction": 0.25, "metric": "mAP", "n": 1}
    row["scratch"] = dict(mean=score, std=None, values=[score])
    data = {"benchmark": "streets-v1", "format": 2, "sha256": {"all": "aa"}}
    return {"rows": [row], "seeds": [0], "pretrain_seeds": [0], "data": data, "failed": [], **changed}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    (tmp_path / "page.md").write_text("<!-- table: fusion_study -->\n<!-- end -->\n")
    return tmp_path


def _write(docs: Path, name: str, content: dict) -> None:
    (docs / "results" / f"{name}.json").write_text(json.dumps(content))


def test_rows_of_all_parts_stand_in_one_table_in_the_order_of_their_names(docs):
    _write(docs, "fusion_study", _study("lidar", 0.04))
    _write(docs, "fusion_study-unet", _study("unet", 0.3, failed=["runs/x"]))
    _write(docs, "fusion_study-camera", _study("camera", 0.01))
    make_tables(docs, check=False)
    page = (docs / "page.md").read_text()
    assert [line.split(" | ")[0].strip("| ") for line in page.splitlines() if "| all |" in line] == [
        "lidar",
        "camera",
        "unet",
    ]
    assert "Measured on streets-v1; 1 fine-tuning × 1 pre-training seeds; FAILED: runs/x." in page


def test_the_same_benchmark_of_another_kind_of_cpu_is_told(docs):
    other = {"benchmark": "streets-v1", "format": 2, "sha256": {"all": "bb"}}
    _write(docs, "fusion_study", _study("lidar", 0.04))
    _write(docs, "fusion_study-camera", _study("camera", 0.01, data=other))
    make_tables(docs, check=False)
    page = (docs / "page.md").read_text()
    assert "seeds; made on another kind of CPU for camera, with other last bits.\n" in page


def test_data_of_ones_own_have_to_be_the_same_files(docs):
    for name, digest in (("fusion_study", "aa"), ("fusion_study-camera", "bb")):
        _write(docs, name, _study(name[-6:], 0.04, data={"benchmark": None, "sha256": {"all": digest}}))
    with pytest.raises(ResultsError, match=r"fusion_study-camera\.json: data: expected those of"):
        make_tables(docs, check=False)


def test_a_part_alone_is_shown(docs):
    _write(docs, "fusion_study-camera", _study("camera", 0.01))
    make_tables(docs, check=False)
    assert "| camera |" in (docs / "page.md").read_text()


@pytest.mark.parametrize(
    ("part", "line"),
    [
        (_study("camera", 0.01, seeds=[0, 1]), "seeds: expected those of fusion_study.json"),
        (_study("camera", 0.01, pretrain_seeds=[1]), "pretrain_seeds: expected those of fusion_study.json"),
        (_study("camera", 0.01, data={"benchmark": "streets-mini", "format": 2}), "data: expected those of"),
        (_study("camera", 0.01, data={"benchmark": "streets-v1", "format": 3}), "data: expected those of"),
        (_study("camera", 0.01, data={"benchmark": None, "sha256": {"all": "bb"}}), "data: expected those of"),
        (_study("lidar", 0.01), "rows[0]: fusion_study.json has the same row"),
        (_study("camera", 0.01, rows=[]), "rows: expected a list with entries, found []"),
        (_study("camera", 0.01, rows=[3]), "expected what the study writes"),
    ],
)
def test_a_part_that_does_not_belong_to_the_table_is_named(docs, part, line):
    _write(docs, "fusion_study", _study("lidar", 0.04))
    _write(docs, "fusion_study-part", part)
    with pytest.raises(ResultsError) as error:
        make_tables(docs, check=False)
    assert "fusion_study-part.json" in str(error.value)
    assert line in str(error.value)
