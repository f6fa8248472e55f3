"""Gains and their verdict are of the seeds that both sides have."""

import pytest

from studies.nested_deviation import deviation_of_mean
from studies.paired_scores import compare, format_ahead, format_nested, gain_of, pair_differences, summarize


def test_a_failed_run_takes_its_partner_out_of_the_gain_the_deviations_and_the_verdict():
    scratch, pretrained = summarize([0.2, None, 0.4]), summarize([0.3, 0.9, 0.5])
    found = gain_of(scratch, pretrained)
    assert found == gain_of(summarize([0.2, 0.4]), summarize([0.3, 0.5]))
    assert found["gain"] == pytest.approx(pair_differences(scratch, pretrained).mean) == pytest.approx(0.1)
    assert found["spread"] == pytest.approx(0.2 / 2**0.5)
    assert found["beyond_two"] is False


@pytest.mark.parametrize(("ours", "gain"), [((0.3, None), 0.1), ((None, 0.9), None)])
def test_one_pair_has_no_verdict_and_none_no_gain(ours, gain):
    found = gain_of(summarize([0.2, None]), summarize(ours))
    assert found["gain"] == (gain and pytest.approx(gain))
    assert [found[key] for key in ("spread", "gain_in_spreads", "beyond_two")] == [None] * 3


def test_gain_pairs_and_deviations_are_of_the_fine_tuning_seeds_of_which_nothing_failed():
    scratch, pretrained = summarize([0.3] * 6), summarize([0.33, 0.31, None, 0.1, 0.32, 0.34])
    found = compare(scratch, pretrained, 2)
    assert found["gain"] == pytest.approx(0.025)
    assert found["nested_std"] == deviation_of_mean([[0.33 - 0.3, 0.31 - 0.3], [0.32 - 0.3, 0.34 - 0.3]])
    assert found["gain_in_nested_stds"] == pytest.approx(found["gain"] / found["nested_std"])
    assert (found["n"], found["seeds"], format_ahead(found["pairs"])) == (4, 2, "4 of 4")
    # Runs that fail seldom fail at random.
    assert (found["beyond_two_nested"], format_nested(found)[3]) == (None, "none: failed runs")


def test_one_seed_of_three_that_is_left_has_no_deviation():
    found = compare(summarize([0.3] * 6), summarize([0.31, 0.312, None, 0.1, 0.1, None]), 2)
    assert found["gain"] == pytest.approx(0.011)
    assert [found[key] for key in ("nested_std", "gain_in_nested_stds", "beyond_two_nested")] == [None] * 3


@pytest.mark.parametrize(
    ("pretrainings", "encoders", "seeds", "verdict"),
    [
        (1, None, 3, "none: one encoder"),
        (2, 1, 3, "none: one encoder"),
        (2, 2, 1, "none: one choice of frames"),
        (1, None, 1, "none: one encoder, one choice of frames"),
        (2, 2, 2, "yes"),
        # The same start with a change of its own has no encoder that could be another.
        (1, 0, 3, "yes"),
    ],
)
def test_a_verdict_needs_two_of_both_levels(pretrainings, encoders, seeds, verdict):
    number = pretrainings * seeds
    scores = [0.4 + 0.001 * k for k in range(number)]
    found = compare(summarize([0.3] * number), summarize(scores), pretrainings, encoders)
    assert format_nested(found)[3] == verdict
    assert (found["encoders"], found["seeds"]) == (pretrainings if encoders is None else encoders, seeds)
