"""Tables and pictures of pages: they follow the files of results, and what cannot be shown is one error."""

import copy
import json
import shutil
from pathlib import Path

import pytest

from studies import condense_table, lift_table
from studies.measured_values import ResultsError
from studies.result_tables import NO_RESULTS, block_of, make_tables, read_results
from tests.factories.tool_scripts import call_tool

LIFT = {"lift": "A", "steps": {"pretraining": 1000, "detector": 70}, "AbsRel": 0.25, "PSNR": 18.34}
LIFT |= {"probe": {"scratch": 0.632, "pretrained": 0.65}}
LIFT |= {"scratch": {"mAP": 0.01, "NDS": 0.024}, "pretrained": None}
LIFTS = {"data": "streets-v1", "seed": 0, "guess": {"AbsRel": 0.476, "PSNR": 16.3}, "rows": [LIFT]}
CONDENSE = {
    "linear_probe": {
        "rendering": {"mean": 0.19, "std": 0.0042, "values": [0.193, 0.187]},
        "distil": {"mean": 0.2, "std": None, "values": [0.2, None]},
        "consensus": None,
    },
    "retrieval": {
        "image_to_lidar_recall1_5m": 0.56,
        "chance": 0.026,
        "lidar_to_lidar_recall1_5m": None,
        "lidar_to_lidar_recall1_5m_heights": 0.95,
    },
    "keypoint_repeatability_0.5m": 0.42,
    "keypoint_repeatability_0.5m_highest": 0.558,
}


@pytest.fixture
def docs(tmp_path: Path, repository: Path) -> Path:
    """A folder of one page with the lifts, the real segmentation study and a table without a file."""
    folder = tmp_path / "docs"
    (folder / "results").mkdir(parents=True)
    (folder / "results" / "lifts.json").write_text(json.dumps(LIFTS))
    shutil.copy(repository / "docs" / "results" / "segmentation_study.json", folder / "results")
    names = ("lifts", "segmentation_study", "condense")
    text = "".join(f"\n<!-- table: {name} -->\nold\n<!-- end -->\n" for name in names)
    (folder / "page.md").write_text(f"# Page\n{text}")
    return folder


def test_the_tool_writes_what_is_old_and_a_check_tells_it(docs, repository, capsys):
    before = (docs / "page.md").read_text()
    assert call_tool(repository, "make_tables", ["--docs", docs, "--check"], capsys) == (1, "")
    assert (docs / "page.md").read_text() == before
    assert not (docs / "images").exists()
    assert call_tool(repository, "make_tables", ["--docs", docs], capsys) == (0, "")
    page = (docs / "page.md").read_text()
    assert "| A | 1,000, 70 | 0.250 | 18.3 | 63.2, 65.0 | 1.0 / 2.4 | not run |" in page
    assert "![mIoU of segmentors by start, protocol and share of the labels](images/segmentation_study.png)" in page
    assert "|  |  |  | pretrained | 18.80 ± 0.55 | +11.03 | 3 | ± 0.79, 3 of 3 ahead | +23.3 | yes |" in page
    assert f"<!-- table: condense -->\n{NO_RESULTS}\n<!-- end -->" in page
    assert call_tool(repository, "make_tables", ["--docs", docs, "--check"], capsys) == (0, "")


def test_what_changes_in_a_file_is_told_of_its_page_and_its_picture(docs):
    picture = docs / "images" / "segmentation_study.png"
    assert make_tables(docs, check=False) == [str(picture), str(docs / "page.md")]
    assert make_tables(docs, check=False) == []
    file = docs / "results" / "segmentation_study.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content))
    assert make_tables(docs, check=True) == []
    content["rows"][0]["protocol"] = "probe"
    file.write_text(json.dumps(content))
    assert make_tables(docs, check=True) == [str(picture), str(docs / "page.md")]
    picture.write_bytes(b"no picture")
    assert str(picture) in make_tables(docs, check=False)
    assert make_tables(docs, check=True) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "lifts.json: expected JSON: "),
        ("[]", "lifts.json: expected a JSON object, found list"),
        ('{"seed": NaN}', "lifts.json: expected JSON: NaN is not a number"),
        ("[" * 100000, "lifts.json: expected JSON: "),
        ("{}", "lifts.json: guess: expected an object, found None"),
    ],
)
def test_a_damaged_file_is_one_line(docs, repository, capsys, text, line):
    (docs / "results" / "lifts.json").write_text(text)
    code, said = call_tool(repository, "make_tables", ["--docs", docs], capsys)
    assert (code, len(said.splitlines())) == (2, 1)
    assert line in said
    assert "old" in (docs / "page.md").read_text()


def test_a_block_of_an_unknown_table_is_told(docs):
    (docs / "page.md").write_text("<!-- table: lift -->\n<!-- end -->\n")
    with pytest.raises(ResultsError, match=r"page.md: expected a table of .*lifts.*, found 'lift'"):
        make_tables(docs, check=False)


@pytest.mark.parametrize("name", ["segmentation_study", "transfer_study"])
@pytest.mark.parametrize("content", [{}, {"rows": [1]}, {"rows": [{"protocol": "finetune"}]}])
def test_rows_of_something_else_are_one_error_that_names_the_file(name, content):
    with pytest.raises(ResultsError, match=f"^docs/results/{name}.json: expected what the study writes"):
        block_of(name, content)


@pytest.mark.parametrize(
    ("keys", "value", "line"),
    [
        (("rows",), [], "rows: expected a list with entries, found []"),
        (("rows", 0, "scratch", "mean"), 0.5, "rows[0].scratch.mean: expected 0.077"),
        (("rows", 0, "scratch", "values"), "abc", "rows[0].scratch.values: expected a list with entries, found 'abc'"),
        (("rows", 0, "pretrained", "gain"), 0.35, "rows[0].pretrained.gain: expected 0.11"),
        (("rows", 0, "pretrained", "beyond_two"), False, "rows[0].pretrained.beyond_two: expected True"),
        (("rows", 0, "pretrained", "pairs", "values"), [0.1, 0.1, 0.1], "rows[0].pretrained.pairs"),
        (("rows", 0, "protocol"), "a|b", "rows[0].protocol: expected a name without bars"),
    ],
)
def test_a_study_that_contradicts_its_scores_is_refused(repository, keys, value, line):
    content = read_results(repository / "docs" / "results" / "segmentation_study.json")
    with pytest.raises(ResultsError) as error:
        block_of("segmentation_study", _changed(content, keys, value))
    assert str(error.value).startswith(f"docs/results/segmentation_study.json: {line}")


def test_a_transfer_study_tells_its_data_its_seeds_and_what_failed():
    row = {"model": "camera[/]", "protocol": "all", "fraction": 0.004, "metric": "mAP", "n": 2}
    row["scratch"] = dict(mean=0.2, std=0.0, values=[0.2, 0.2])
    content = {"rows": [row], "seeds": [0, 1], "data": {"benchmark": "streets-mini"}, "failed": ["runs/a"]}
    block = block_of("fusion_study", content)
    assert block.startswith("Measured on streets-mini; 2 fine-tuning seeds; FAILED: runs/a.")
    assert "| camera[/] | all | 0.4% | mAP | scratch |" in block


def test_a_file_that_is_not_there_is_no_error():
    assert block_of("condense", None) == NO_RESULTS


def test_scores_of_features_stand_beside_what_chance_reaches():
    rows = [line.strip("| ").split(" | ") for line in condense_table.table_of(CONDENSE, "x").splitlines()]
    assert rows[2:] == [
        ["linear probe, mIoU: rendering", "19.00 ± 0.42", "19.30, 18.70", "–"],
        ["linear probe, mIoU: distil", "20.00", "20.00, failed", "–"],
        ["linear probe, mIoU: consensus", "not run", "–", "–"],
        ["retrieval image → LiDAR, recall@1 at 5 m", "56.0", "–", "2.6, a random order"],
        ["retrieval LiDAR → LiDAR, recall@1 at 5 m", "not run", "–", "2.6, a random order; 95.0, heights alone"],
        [
            "key points, repeatability within 0.5 m",
            "42.0",
            "–",
            "not run, random returns; 55.8, highest candidates; not run, nearest candidates",
        ],
    ]


@pytest.mark.parametrize(
    ("keys", "value", "line"),
    [
        (("linear_probe",), [], "linear_probe: expected an object, found []"),
        (("linear_probe", "a|b"), None, "linear_probe.a|b: expected a name without bars"),
        (("linear_probe", "distil"), {"mean": 0.2, "values": []}, "distil.values: expected a list with entries"),
        (
            ("linear_probe", "distil", "mean"),
            "0.2",
            "distil.mean: expected a number of at least 0, or null, found '0",
        ),
        (("linear_probe", "distil", "mIoU"), 0.2, "linear_probe.distil: expected mean, std, values, found 'mIoU'"),
        (("retrieval", "chance"), 2.6, "retrieval.chance: expected a score from 0 to 1, found 2.6"),
        (("keypoint_repeatability_0.5m",), True, "keypoint_repeatability_0.5m: expected a number"),
        (("keypoints",), 0.4, "x: expected linear_probe, retrieval, "),
    ],
)
def test_a_wrong_value_of_features_is_named(keys, value, line):
    with pytest.raises(ResultsError) as error:
        condense_table.table_of(_changed(CONDENSE, keys, value), "x")
    assert line in str(error.value)


@pytest.mark.parametrize(
    ("keys", "value", "line"),
    [
        (("rows",), [], "x: rows: expected a list with entries, found []"),
        (("rows", 0, "lift"), "", "x: rows[0].lift: expected a name"),
        (("rows", 0, "steps"), 400, "x: rows[0].steps: expected an object, found 400"),
        (("rows", 0, "scratch", "mAP"), 1.5, "x: rows[0].scratch.mAP: expected a score from 0 to 1, found 1.5"),
        (("rows", 0, "PSNR"), -1, "x: rows[0].PSNR: expected a number of at least 0"),
        (("rows", 0, "mAP"), 0.1, "x: rows[0]: expected lift, steps, AbsRel, PSNR, probe, scratch"),
    ],
)
def test_a_wrong_value_of_lifts_is_named(keys, value, line):
    with pytest.raises(ResultsError) as error:
        lift_table.table_of(_changed(LIFTS, keys, value), "x")
    assert line in str(error.value)


def _changed(content: dict, keys: tuple, value: object) -> dict:
    changed = copy.deepcopy(content)
    part = changed
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    return changed
