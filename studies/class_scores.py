"""Scores of each class, over the seeds of a side."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from .paired_scores import summarize

SUFFIXES = {"mAP": "_AP", "mIoU": "_IoU"}
"""What the keys of a class's score end with, by the metric that is their mean."""


def scores_by_class(results: Sequence[Mapping[str, float] | None], metric: str) -> dict[str, dict]:
    """Summarize the score of each class by its name; None where it is not defined or the run failed.

    Args:
        results: scores of each training, None where it failed.
        metric: the metric; of one that is no mean over classes, there are none.
    """
    suffix = SUFFIXES.get(metric)
    if suffix is None:
        return {}
    of_run = [{k.removesuffix(suffix): v for k, v in (r or {}).items() if k.endswith(suffix)} for r in results]
    names = dict.fromkeys(name for scores in of_run for name in scores)
    return {name: asdict(summarize([scores.get(name) for scores in of_run])) for name in names}
