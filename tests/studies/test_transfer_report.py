"""What a transfer study makes of the numbers."""

import math
import statistics

import pytest

from studies.paired_scores import summarize
from studies.transfer_picture import draw
from studies.transfer_report import describe_sample, rows_of, sample_size, table_of
from studies.transfer_study import DetectorRun


def _results(scratch: list[float | None], pretrained: list[float | None]) -> dict[DetectorRun, dict]:
    return {
        DetectorRun("camera", 0.1, init, seed): {"mAP": value, "NDS": value / 2}
        for init, values in (("scratch", scratch), ("pretrained", pretrained))
        for seed, value in enumerate(values)
        if value is not None
    }


def test_rows_hold_means_standard_deviations_and_values_by_seed():
    scratch, pretrained = [0.20, 0.22, 0.27], [0.30, 0.33, 0.36]
    mean_ap, nds = rows_of(_results(scratch, pretrained), ["camera"], [0.1], [0, 1, 2])
    assert (mean_ap["modality"], mean_ap["fraction"], mean_ap["metric"]) == ("camera", 0.1, "mAP")
    assert mean_ap["scratch"]["values"] == scratch
    assert mean_ap["scratch"]["mean"] == pytest.approx(0.23)
    assert mean_ap["scratch"]["std"] == pytest.approx(math.sqrt((0.03**2 + 0.01**2 + 0.04**2) / 2))
    assert mean_ap["pretrained"]["std"] == pytest.approx(statistics.stdev(pretrained))
    assert mean_ap["gain"] == pytest.approx(0.10)
    spread = math.sqrt((0.0013 + 0.0009) / 2)
    assert mean_ap["spread"] == pytest.approx(spread)
    assert mean_ap["gain_in_spreads"] == pytest.approx(0.10 / spread)
    assert mean_ap["beyond_two"] is True
    assert nds["gain"] == pytest.approx(0.05)
    assert [row["n"] for row in (mean_ap, nds)] == [3, 3]


def test_both_references_stand_beside_the_compared_for_each_metric():
    references = {DetectorRun("camera", 0.1, "constant", k): {"mAP": 0.05, "NDS": 0.34} for k in (0, 1)}
    references |= {DetectorRun("camera", 0.1, "frozen", k): {"mAP": 0.07 + 0.02 * k, "NDS": 0.27} for k in (0, 1)}
    rows = rows_of(_results([0.2, 0.2], [0.3, 0.3]) | references, ["camera"], [0.1], [0, 1])
    assert [row["metric"] for row in rows] == ["mAP", "NDS"]
    assert [row["constant"]["mean"] for row in rows] == pytest.approx([0.05, 0.34])
    assert rows[0]["frozen"]["values"] == pytest.approx([0.07, 0.09])
    line = next(line for line in table_of(rows).splitlines() if "NDS" in line)
    numbers = [cell.split(" ± ")[0].strip() for cell in line.split("|")[4:8]]
    assert numbers == ["34.00", "27.00", "10.00", "15.00"]


def test_n_counts_trainings_and_neither_metrics_nor_checkpoints_nor_nested_fractions():
    cells = (["camera", "lidar"], [0.1, 0.25], [0, 1, 2])
    assert sample_size(*cells) == {"trainings": 36, "pairs": 12, "independent_pairs": 3, "pretrainings": 2}
    said = " ".join(describe_sample(*cells).split())
    assert "12 in all (2 modalities × 2 fractions × 3 seeds)" in said
    assert "one pre-training a modality (n = 1)" in said
    assert "smaller fraction lie inside" in said
    assert "the modalities of a seed train on the same labelled frames" in said
    assert "Independent of each other are 3 pairs in all, one a seed, given the frames that are scored" in said
    assert "the pre-training, which all seeds share" in said
    assert "a probability of 0.125" in said
    alone = describe_sample(["camera"], [0.1], [0, 1])
    assert "inside" not in alone
    assert "the modalities of" not in alone


def test_a_pair_counts_where_both_of_it_are_there():
    rows = rows_of(_results([0.2, None, 0.4], [0.22, 0.34, 0.4]), ["camera"], [0.1], [0, 1, 2])
    assert rows[0]["n"] == 2


@pytest.mark.parametrize(("gain", "verdict"), [(0.019, False), (0.021, True), (-0.1, False)])
def test_the_verdict_asks_for_more_than_two_standard_deviations(gain, verdict):
    scratch = [0.19, 0.20, 0.21]
    rows = rows_of(_results(scratch, [v + gain for v in scratch]), ["camera"], [0.1], [0, 1, 2])
    assert rows[0]["spread"] == pytest.approx(0.01)
    assert rows[0]["beyond_two"] is verdict


def test_runs_and_their_baselines_are_compared_pair_by_pair():
    # The choice of frames moves both of a pair by as much; their differences are 0.02, 0.04 and -0.01.
    rows = rows_of(_results([0.2, 0.3, 0.4], [0.22, 0.34, 0.39]), ["camera"], [0.1], [0, 1, 2])
    assert rows[0]["pairs"]["values"] == pytest.approx([0.02, 0.04, -0.01])
    assert rows[0]["pairs"]["mean"] == pytest.approx(rows[0]["gain"])
    assert "± 2.52, 2 of 3 ahead" in table_of(rows)
    missing = rows_of(_results([0.2, None, 0.4], [0.22, 0.34, None]), ["camera"], [0.1], [0, 1, 2])
    assert missing[0]["pairs"]["values"] == [pytest.approx(0.02), None, None]
    assert missing[0]["pairs"]["std"] is None


def test_failed_runs_are_left_out_and_named():
    rows = rows_of(_results([0.2, None, 0.3], [None, None, None]), ["camera"], [0.1], [0, 1, 2])
    assert rows[0]["scratch"]["values"] == [0.2, None, 0.3]
    assert rows[0]["scratch"]["mean"] == pytest.approx(0.25)
    assert (rows[0]["gain"], rows[0]["beyond_two"]) == (None, None)
    table = table_of(rows)
    assert "25.00 ± 7.07 (1 failed)" in table
    assert "| failed " in table


def test_one_seed_has_a_mean_and_no_verdict():
    assert summarize([0.4]).std is None
    table = table_of(rows_of(_results([0.2], [0.4]), ["camera"], [0.1], [0]))
    assert "+20.00" in table
    assert "needs two seeds" in table


def test_the_picture_is_drawn_even_where_runs_failed(tmp_path):
    rows = rows_of(_results([0.2, 0.3], [None, None]), ["camera", "lidar"], [0.1], [0, 1])
    draw(tmp_path / "study.png", rows)
    assert (tmp_path / "study.png").read_bytes().startswith(b"\x89PNG")
