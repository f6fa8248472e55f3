"""Gains and their verdict are of the seeds that both sides have."""

import pytest

from studies.paired_scores import gain_of, pair_differences, summarize


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
