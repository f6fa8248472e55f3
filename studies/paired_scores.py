"""Scores of trainings and of their baselines, pair by pair: means, deviations, gains, and how tables show them."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from .nested_deviation import deviation_of_mean, whole_rows

TWO_SPREADS = (
    "2 * sqrt((s1² + s2²) / 2), with s1 and s2 the standard deviations over these seeds (n - 1): the size of an "
    "effect, not a test of one"
)
FORMULA = (
    "gain = mean(pretrained) - mean(scratch), of the seeds with both; beyond two standard deviations: "
    f"gain > {TWO_SPREADS}"
)
_VERDICTS = {None: "needs two seeds", True: "yes", False: "no"}


@dataclass(frozen=True)
class Summary:
    """Scores of several seeds, with their mean and standard deviation.

    Attributes:
        mean: mean over the seeds that have a score; None when none has.
        std: standard deviation with n - 1; None with fewer than two scores.
        values: scores in the order of the seeds; None where a run failed.
    """

    mean: float | None
    std: float | None
    values: list[float | None]


def summarize(values: Sequence[float | None]) -> Summary:
    """Return the mean and standard deviation (n - 1) of the values that are not None."""
    known = [value for value in values if value is not None]
    mean = statistics.fmean(known) if known else None
    std = statistics.stdev(known) if len(known) > 1 else None
    return Summary(mean, std, list(values))


def pair_differences(scratch: Summary, pretrained: Summary) -> Summary:
    """Return the differences of the pairs, pre-trained minus scratch; None where one of a pair failed."""
    pairs = zip(scratch.values, pretrained.values, strict=True)
    return summarize([None if None in pair else pair[1] - pair[0] for pair in pairs])


def gain_of(scratch: Summary, pretrained: Summary) -> dict:
    """Return the gain of the means, and how it compares with the spread over seeds, of the seeds that both sides have.

    `gain` is None when there is no such seed. `spread` is the pooled standard deviation, and `gain_in_spreads` the gain
    divided by it (None with fewer than two seeds or without any spread). `beyond_two` is the verdict of `FORMULA`.
    """
    gain = spread = in_spreads = beyond = None
    pairs = [pair for pair in zip(scratch.values, pretrained.values, strict=True) if None not in pair]
    scratch, pretrained = summarize([pair[0] for pair in pairs]), summarize([pair[1] for pair in pairs])
    if scratch.mean is not None and pretrained.mean is not None:
        gain = pretrained.mean - scratch.mean
    if gain is not None and scratch.std is not None and pretrained.std is not None:
        spread = math.sqrt((scratch.std**2 + pretrained.std**2) / 2)
        in_spreads = gain / spread if spread > 0 else None
        beyond = gain > 2 * spread
    return {"gain": gain, "spread": spread, "gain_in_spreads": in_spreads, "beyond_two": beyond}


def compare_seeds(scratch: Summary, pretrained: Summary) -> dict:
    """Return all that is told of two sides with a pair for each seed.

    `pairs` is the `Summary` of the differences of the pairs and `n` their number; `gain_of` gives the rest.
    """
    pairs = pair_differences(scratch, pretrained)
    n = sum(value is not None for value in pairs.values)
    return {"pairs": asdict(pairs), "n": n} | gain_of(scratch, pretrained)


def compare(scratch: Summary, pretrained: Summary, pretrainings: int = 1, encoders: int | None = None) -> dict:
    """Return all that is told of a pre-trained side and its baseline, of one set of pairs.

    They are the pairs of the fine-tuning seeds of which nothing failed: a seed that lacks one of its pairs is left out
    with all of them. A pair shares its labelled frames and random numbers, so that the effect of the choice of frames
    on both cancels.

    | key | content |
    |---|---|
    | `pairs`, `n` | `Summary` of their differences, None where a pair does not count; their number |
    | `gain` | mean of these differences |
    | `nested_std`, `gain_in_nested_stds` | see `deviation_of_mean`; the gain divided by it |
    | `encoders`, `seeds` | number of different encoders; of fine-tuning seeds, which choose the frames, in the pairs |
    | `lacks` | why there is no verdict, in words; none where there is one |
    | `beyond_two_nested` | the verdict: whether the gain is beyond two nested deviations |

    There is no verdict where one encoder or one choice of frames serves all: chance is beyond two deviations in up to
    half of such studies, as how much another would differ is in no deviation. Nor is there one while runs are missing,
    which seldom fail at random.

    Args:
        scratch: scores of the baselines, in the order of the fine-tuning seeds, those of one seed together.
        pretrained: scores of the pre-trained runs, in the same order.
        pretrainings: number of pairs that each fine-tuning seed has, one for each pre-training seed.
        encoders: number of different encoders; 1 where a file serves all pre-training seeds, 0 where the start has
            none. By default one for each pre-training seed.
    """
    differences = pair_differences(scratch, pretrained).values
    table = [differences[k : k + pretrainings] for k in range(0, len(differences), pretrainings)]
    pairs = summarize([value if None not in row else None for row in table for value in row])
    seeds, planned = len(whole_rows(table)), len(table)
    encoders = pretrainings if encoders is None else encoders
    reasons = {"one encoder": encoders == 1, "one choice of frames": planned == 1, "failed runs": seeds < planned}
    lacks = [reason for reason, holds in reasons.items() if holds]
    gain, deviation = pairs.mean, deviation_of_mean(table)
    return {
        "pairs": asdict(pairs),
        "n": seeds * pretrainings,
        "gain": gain,
        "nested_std": deviation,
        "gain_in_nested_stds": gain / deviation if deviation else None,
        "encoders": encoders,
        "seeds": seeds,
        "lacks": lacks,
        "beyond_two_nested": None if lacks or deviation is None else gain > 2 * deviation,
    }


def format_nested(compared: Mapping) -> tuple[str, str, str, str]:
    """Return the gain in points, its nested deviation, the gain in these deviations, and the verdict."""
    points = "–" if compared["gain"] is None else f"{100 * compared['gain']:+.2f}"
    deviation = "–" if compared["nested_std"] is None else f"± {100 * compared['nested_std']:.2f}"
    ratio = "–" if compared["gain_in_nested_stds"] is None else f"{compared['gain_in_nested_stds']:+.1f}"
    # Files of before tell no reasons.
    lacks = ", ".join(compared.get("lacks", ()))
    return points, deviation, ratio, f"none: {lacks}" if lacks else _VERDICTS[compared["beyond_two_nested"]]


def format_ahead(pairs: Mapping) -> str:
    """Return the number of pairs whose pre-trained run is ahead."""
    known = [value for value in pairs["values"] if value is not None]
    return f"{sum(value > 0 for value in known)} of {len(known)}" if known else "–"


def format_side(side: Mapping) -> str:
    """Return mean and deviation in points of 0–100, with the number of failed seeds."""
    if side["mean"] is None:
        return "failed"
    std = "" if side["std"] is None else f" ± {100 * side['std']:.2f}"
    failed = sum(value is None for value in side["values"])
    return f"{100 * side['mean']:.2f}{std}" + (f" ({failed} failed)" if failed else "")


def format_pairs(pairs: Mapping) -> str:
    """Return the deviation of the differences, in points, and the number of seeds whose pre-trained run is ahead."""
    if pairs["std"] is None:
        return "–"
    return f"± {100 * pairs['std']:.2f}, {format_ahead(pairs)} ahead"


def format_gain(gain: Mapping) -> tuple[str, str, str]:
    """Return the gain in points, the gain in deviations, and the verdict, of what `gain_of` returns."""
    points = "–" if gain["gain"] is None else f"{100 * gain['gain']:+.2f}"
    ratio = "–" if gain["gain_in_spreads"] is None else f"{gain['gain_in_spreads']:+.1f}"
    return points, ratio, _VERDICTS[gain["beyond_two"]]
