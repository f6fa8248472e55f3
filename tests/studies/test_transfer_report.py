"""What a transfer study makes of the numbers."""

import json
import math
import statistics

import pytest
from matplotlib import pyplot as plt

from studies.checked_rows import starts_in
from studies.paired_scores import summarize
from studies.study_report import write_report
from studies.study_run import Run
from studies.transfer_picture import draw, draw_lengths
from studies.transfer_report import describe_sample, rows_of, steps_before, table_of
from tests.factories.training_runs import DETECTOR, PRETRAINING

STEPS = "\ntrain_cfg = dict(max_iters=7)\n"


def _done(values: dict[str, list[float | None]], trainings: list[tuple], **more) -> dict[Run, dict]:
    """Finished runs of LiDAR with a tenth of the labels, of each start by its name."""
    return {
        Run("lidar", 0.1, init, *seeds): {"result": {"mAP": value, "NDS": value / 2, **more}, "minutes": 1.0}
        for init, scores in values.items()
        for seeds, value in zip(trainings, scores, strict=True)
        if value is not None
    }


@pytest.fixture
def rows(make_study):
    """Rows of a study of scores by start, and of references."""

    def make(values: dict, constants: list[float] | None = None, **changes) -> list[dict]:
        seeds = tuple(range(len(values["scratch"])))
        study = make_study(**{"seeds": seeds} | changes)
        known = {Run("lidar", 0.1, "constant", k): {"mAP": v, "NDS": v} for k, v in enumerate(constants or [])}
        return rows_of(study, _done(values, study.trainings), known)

    return make


def test_rows_hold_means_standard_deviations_and_values_of_each_training(rows):
    scratch, pretrained = [0.20, 0.22, 0.27], [0.30, 0.33, 0.36]
    mean_ap, nds = rows({"scratch": scratch, "pretrained": pretrained})
    assert [mean_ap[key] for key in ("model", "protocol", "fraction", "metric")] == ["lidar", "all", 0.1, "mAP"]
    assert mean_ap["scratch"]["values"] == scratch
    assert mean_ap["scratch"]["mean"] == pytest.approx(0.23)
    assert mean_ap["scratch"]["std"] == pytest.approx(math.sqrt((0.03**2 + 0.01**2 + 0.04**2) / 2))
    found = mean_ap["pretrained"]
    assert found["std"] == pytest.approx(statistics.stdev(pretrained))
    assert found["minutes"] == [1.0] * 3
    assert found["gain"] == pytest.approx(0.10)
    # One pre-training: the deviation of the mean of the pairs.
    assert found["nested_std"] == pytest.approx(statistics.stdev([0.10, 0.11, 0.09]) / math.sqrt(3))
    assert (found["encoders"], found["beyond_two_nested"]) == (1, None)
    assert nds["pretrained"]["gain"] == pytest.approx(0.05)
    assert [row["n"] for row in (mean_ap, nds)] == [3, 3]


def test_the_verdict_is_of_nested_deviations_over_encoders_and_frames(rows):
    # One encoder gains 0.10, the other 0.02; frames hardly matter. Six pairs that counted each for itself would do.
    scratch = [0.20, 0.20, 0.25, 0.25, 0.30, 0.30]
    gains = [0.10, 0.02, 0.11, 0.02, 0.10, 0.03]
    values = {"scratch": scratch, "pretrained": [a + b for a, b in zip(scratch, gains, strict=True)]}
    (row, _) = rows(values, seeds=(0, 1, 2), pretrain_seeds=(0, 1))
    found = row["pretrained"]
    assert found["gain"] == pytest.approx(0.38 / 6)
    assert found["nested_std"] == pytest.approx(0.08 / 2, rel=0.02)
    assert statistics.stdev(gains) / math.sqrt(6) < 0.02
    assert (found["beyond_two_nested"], found["n"]) == (False, 6)
    line = next(line for line in table_of([row]).splitlines() if "pre-trained" in line)
    assert [cell.strip() for cell in line.split("|")][6:13] == [
        "31.33 ± 6.44",
        "+6.33",
        "6",
        "6 of 6",
        "± 4.00",
        "+1.6",
        "no",
    ]


def test_references_stand_beside_the_compared_for_each_metric(rows):
    found = rows({"scratch": [0.2, 0.2], "pretrained": [0.3, 0.3], "frozen": [0.07, 0.09]}, [0.05, 0.05])
    assert [row["metric"] for row in found] == ["mAP", "NDS"]
    assert [row["constant"]["mean"] for row in found] == pytest.approx([0.05, 0.05])
    assert found[0]["frozen"]["values"] == pytest.approx([0.07, 0.09])
    assert starts_in(found[0]) == ["pretrained"]
    names = [line.split("|")[5].strip() for line in table_of(found[:1]).splitlines()[2:6]]
    assert names == ["constant", "frozen random", "scratch", "pre-trained"]


def test_pairs_count_where_both_of_them_are_there_and_failed_runs_are_named(rows):
    (row, _) = rows({"scratch": [0.2, None, 0.4], "pretrained": [0.22, 0.34, 0.4]})
    assert (row["n"], row["pretrained"]["n"]) == (2, 2)
    (row, _) = rows({"scratch": [0.2, None, 0.3], "pretrained": [None] * 3})
    found = row["pretrained"]
    assert (found["gain"], found["nested_std"], found["beyond_two_nested"]) == (None, None, None)
    assert "25.00 ± 7.07 (1 failed)" in table_of([row])
    assert "| failed " in table_of([row])


def test_one_seed_has_a_mean_and_no_verdict(rows):
    assert summarize([0.4]).std is None
    table = table_of(rows({"scratch": [0.2], "pretrained": [0.4]}))
    assert "+20.00" in table
    assert "none: one encoder, one choice of frames" in table


def test_what_is_said_of_n_and_of_what_is_shared(make_study, tmp_path):
    said = " ".join(describe_sample(make_study(seeds=(0, 1, 2), pretrain_seeds=(0, 1))).split())
    assert "pairs of trainings (3 fine-tuning seeds × 2 pre-training seeds)" in said
    assert "levels of their own" in said
    assert "serves all" not in said
    one = describe_sample(make_study(pretrained={"lidar": tmp_path / "given.safetensors"}))
    assert "One encoder of lidar serves all: how another would differ is in no deviation" in one


def test_a_file_for_all_pre_training_seeds_is_one_encoder(rows, tmp_path):
    values = {"scratch": [0.2, 0.2, 0.3, 0.3], "pretrained": [0.3, 0.31, 0.4, 0.41], "made": [0.3, 0.31, 0.4, 0.41]}
    (row, _) = rows(
        values,
        seeds=(0, 1),
        pretrain_seeds=(0, 1),
        starts=("pretrained", "made"),
        pretrained={"lidar": tmp_path / "given.safetensors"},
        pretrain_configs={"lidar:made": tmp_path / "pretraining.py"},
    )
    assert [row[start]["encoders"] for start in ("pretrained", "made")] == [1, 2]
    assert [row[start]["beyond_two_nested"] for start in ("pretrained", "made")] == [None, True]


def test_the_table_can_be_made_again_of_the_file_alone(rows, tmp_path):
    found = rows({"scratch": [0.2, 0.3], "pretrained": [0.3, 0.35], "frozen": [0.1, 0.1]}, [0.0, 0.0])
    write_report(tmp_path / "rows.json", found, {"seeds": [0, 1]})
    content = json.loads((tmp_path / "rows.json").read_text())
    assert table_of(content["rows"]) == table_of(found)
    assert set(content) >= {"seeds", "versions", "machine"}


def test_earlier_steps_are_those_of_each_model(make_study):
    study = make_study(models=("lidar", "camera"))
    at = {"earlier": {"2": {"mAP": 0.1, "NDS": 0.0}}}
    done = _done({"scratch": [0.2, 0.2], "pretrained": [0.4, 0.4], "frozen": [0.1, 0.1]}, study.trainings, **at)
    done[Run("camera", 0.1, "scratch", 0)] = {"result": {"mAP": 0.3, "NDS": 0.3}, "minutes": 1.0}
    assert steps_before(done) == ["2"]
    found = rows_of(study, done, {}, "2")
    assert [(row["model"], row["steps"], row["scratch"]["mean"]) for row in found if row["metric"] == "mAP"] == [
        ("lidar", 2, pytest.approx(0.1))
    ]


def test_a_segmentor_has_rows_of_its_metric_and_classes(make_study, tmp_path):
    recipe = tmp_path / "segmentor.py"
    recipe.write_text(DETECTOR + STEPS + 'val_evaluator = dict(type="LidarSegMetric")\n')
    study = make_study(
        models=("lidarseg",), configs={"lidarseg": recipe}, pretrain_configs={"lidarseg": recipe}, seeds=(0,)
    )
    scores = {"scratch": 0.3, "pretrained": 0.4, "frozen": 0.1}
    done = {
        Run("lidarseg", 0.1, init, 0): {"result": {"mIoU": v, "car_IoU": v / 2}, "minutes": 2.0}
        for init, v in scores.items()
    }
    (row,) = rows_of(study, done, {})
    assert (row["metric"], row["steps"], row["pretrained"]["gain"]) == ("mIoU", 7, pytest.approx(0.1))
    assert row["pretrained"]["classes"]["car"]["values"] == [0.2]
    assert "constant" not in row


def test_the_pictures_are_drawn_even_where_runs_failed(make_study, rows, tmp_path):
    drawn = rows({"scratch": [0.2, 0.3], "pretrained": [None, None]})
    draw(tmp_path / "study.png", drawn)
    assert (tmp_path / "study.png").read_bytes().startswith(b"\x89PNG")
    assert not draw_lengths(tmp_path / "lengths.png", drawn)


@pytest.mark.parametrize(("apart", "line"), [((), "-"), (["lidar 10%"], "None"), (["lidar 10%", "lidar 100%"], "-")])
def test_no_line_joins_shares_that_were_measured_on_other_files(tmp_path, monkeypatch, apart, line):
    figures = []
    monkeypatch.setattr(plt, "close", figures.append)
    side = {"mean": 0.002, "std": 0.001, "values": [0.001, 0.003]}
    shares = [{"model": "lidar", "metric": "mAP", "fraction": share, "scratch": side} for share in (0.1, 1.0)]
    draw(tmp_path / "study.png", shares, apart)
    panel = figures[0].axes[0]
    assert panel.lines[0].get_linestyle() == line
    assert panel.get_ylim()[1] == 1


def test_lengths_of_pre_training_are_a_curve(rows, tmp_path):
    recipe = tmp_path / "pretraining.py"
    recipe.write_text(PRETRAINING + STEPS)
    found = rows(
        {"scratch": [0.2, 0.3], "pretrained": [0.3, 0.3], "long": [0.4, 0.5]},
        starts=("pretrained", "long"),
        pretrain_configs={"lidar": recipe, "lidar:long": recipe},
        of_pretraining={"long": ("train_cfg.max_iters=70",)},
    )
    assert [found[0][start]["pretrain_steps"] for start in ("pretrained", "long")] == [7, 70]
    assert draw_lengths(tmp_path / "lengths.png", found)
    assert (tmp_path / "lengths.png").read_bytes().startswith(b"\x89PNG")
