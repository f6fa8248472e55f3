"""The deviation of a mean of crossed seeds, beside what simulated studies scatter by."""

import math
import statistics

import numpy as np
import pytest

from studies.nested_deviation import deviation_of_mean, mean_squares

SEEDS, PRETRAININGS = 3, 2


def _studies(number: int, of_pretrainings: float, of_seeds: float, rest: float) -> np.ndarray:
    """Differences [number, seeds, pre-trainings] of studies without any gain, of components by their deviations."""
    drawn = np.random.default_rng(0)
    return (
        drawn.normal(0, of_pretrainings, (number, 1, PRETRAININGS))
        + drawn.normal(0, of_seeds, (number, SEEDS, 1))
        + drawn.normal(0, rest, (number, SEEDS, PRETRAININGS))
    )


@pytest.mark.parametrize("parts", [(2.0, 1.0, 0.3), (1.0, 2.0, 0.3), (1.0, 1.0, 0.2)])
def test_it_is_what_the_means_of_simulated_studies_scatter_by(parts):
    studies = _studies(1200, *parts)
    scatter = studies.mean((1, 2)).std()
    estimated = math.sqrt(statistics.fmean(deviation_of_mean(study.tolist()) ** 2 for study in studies))
    assert estimated == pytest.approx(scatter, rel=0.1)
    # What takes all pairs for independent, or frames for drawn anew with each encoder, is too sure.
    naive = math.sqrt((studies.reshape(1200, -1).std(1, ddof=1) ** 2 / (SEEDS * PRETRAININGS)).mean())
    nested = math.sqrt((SEEDS * studies.mean(1).var(1, ddof=1) / (SEEDS * PRETRAININGS)).mean())
    assert naive < 0.75 * scatter
    assert nested < 0.98 * scatter


def test_chance_passes_for_a_gain_about_as_often_as_the_docs_say():
    shares = []
    for parts in ((0.0, 0.0, 1.0), (1.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 0.0, 0.0)):
        studies = _studies(1200, *parts)
        deviations = np.array([deviation_of_mean(study.tolist()) for study in studies])
        shares.append((studies.mean((1, 2)) > 2 * deviations).mean())
    assert shares == pytest.approx([0.02, 0.07, 0.05, 0.15], abs=0.025)


def test_the_mean_squares_are_those_of_their_expectation():
    of_seeds, of_pretrainings, rest = np.mean([mean_squares(s.tolist()) for s in _studies(1200, 2.0, 1.0, 0.5)], axis=0)
    assert of_pretrainings == pytest.approx(0.25 + SEEDS * 4, rel=0.1)
    assert of_seeds == pytest.approx(0.25 + PRETRAININGS, rel=0.1)
    assert rest == pytest.approx(0.25, rel=0.1)


def test_one_level_alone_is_the_deviation_over_the_root_of_the_number():
    values = [0.1, 0.4, 0.2]
    expected = statistics.stdev(values) / math.sqrt(3)
    assert deviation_of_mean([[v] for v in values]) == pytest.approx(expected)
    assert deviation_of_mean([values]) == pytest.approx(expected)


def test_seeds_that_lack_a_training_are_left_out():
    table = [[0.1, 0.2], [0.3, None], [0.2, 0.5]]
    assert deviation_of_mean(table) == deviation_of_mean([table[0], table[2]])
    assert deviation_of_mean([[0.1, None], [None, 0.2]]) is None
    # The pairs of one choice of frames say nothing of the frames.
    assert deviation_of_mean([[0.1, 0.11], [0.3, None], [None, 0.2]]) is None
