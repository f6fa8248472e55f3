"""How far a mean of crossed seeds may be off: the deviation of the mean difference over two levels of seeds.

Each of S fine-tuning seeds, which choose the labelled frames, is paired with each of P pre-training seeds. The
difference of such a pair is d[s, p] = gain + a[p] + b[s] + e[s, p]: how much better the encoder of p is than others,
how much more the frames of s leave to be gained, and the rest. Differences that share an encoder or frames are not
independent, and the deviation of all S * P over their root would be too small (Bouthillier et al. 2021, "Accounting for
variance in machine learning benchmarks", section 3.2: runs that share a source of variation are correlated, and more of
them take nothing from its part). The variance of the mean is

    var(a) / P + var(b) / S + var(e) / (S * P),

with the components of the analysis of variance of two crossed random factors without repetitions (Searle, Casella,
McCulloch 1992, "Variance components", chapter 4), each at least 0:

    var(e) = MSe,   var(a) = max(0, MSp - MSe) / S,   var(b) = max(0, MSs - MSe) / P.

MSs, MSp and MSe are the mean squares of the rows, of the columns and of what both leave. In a design that is nested,
not crossed, MSp / (S * P) would do; with shared frames it leaves out var(b) / S. Limits at 0 make the deviation larger
than it is on average where a component is small, which keeps chance from passing for a gain.
"""

import math
import statistics
from collections.abc import Sequence

NESTED_FORMULA = (
    "nested deviation = sqrt(var(pre-training) / P + var(frames) / S + var(rest) / (S * P)), of the mean difference of "
    "S fine-tuning seeds, each with P pre-training seeds; components of the analysis of variance, each at least 0"
)


def deviation_of_mean(differences: Sequence[Sequence[float | None]]) -> float | None:
    """Return the standard deviation of the mean of crossed differences, see above.

    With one pre-training, or one fine-tuning seed, it is the standard deviation of the others over the root of their
    number, and says nothing of the level that was tried once. Where failures leave one of several fine-tuning seeds,
    there is none: the pairs of that one say nothing of the frames.

    Args:
        differences: [S][P], a row for each fine-tuning seed; rows in which one is missing are left out.

    Returns:
        The deviation; None when fewer than two differences, or one of several rows, are left.
    """
    rows = whole_rows(differences)
    values = [value for row in rows for value in row]
    if len(values) < 2 or len(rows) < min(2, len(differences)):
        return None
    if len(rows) == 1 or len(rows[0]) == 1:
        return statistics.stdev(values) / math.sqrt(len(values))
    seeds, pretrainings = len(rows), len(rows[0])
    of_seeds, of_pretrainings, rest = mean_squares(rows)
    variance = max(0.0, of_pretrainings - rest) + max(0.0, of_seeds - rest) + rest
    return math.sqrt(variance / (seeds * pretrainings))


def whole_rows(differences: Sequence[Sequence[float | None]]) -> list[list[float]]:
    """Return the rows in which nothing is missing."""
    return [list(row) for row in differences if None not in row]


def mean_squares(rows: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Return the mean squares of rows, of columns and of the rest, of at least two of both."""
    seeds, pretrainings = len(rows), len(rows[0])
    of_row = [sum(row) / pretrainings for row in rows]
    of_column = [sum(column) / seeds for column in zip(*rows, strict=True)]
    mean = sum(of_row) / seeds
    squares = [
        (value - of_row[s] - of_column[p] + mean) ** 2 for s, row in enumerate(rows) for p, value in enumerate(row)
    ]
    return (
        pretrainings * sum((value - mean) ** 2 for value in of_row) / (seeds - 1),
        seeds * sum((value - mean) ** 2 for value in of_column) / (pretrainings - 1),
        sum(squares) / ((seeds - 1) * (pretrainings - 1)),
    )
