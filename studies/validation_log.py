"""The scores that a training logged at its validations."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from .runs import StudyError

METRICS = ("mAP", "NDS")
"""What studies compare. mAP leads: half of NDS are errors of the boxes that were found, which blind guesses share."""
SEGMENTATION_METRICS = ("mIoU",)

_PREFIX, _SEGMENTATION = "nuscenes/", "lidarseg/"


def validations(work_dir: Path, prefix: str = _PREFIX, metrics: Sequence[str] = METRICS) -> dict | None:
    """Return the official score of the last validation of a training, and under "earlier" the scores before it.

    The keys of earlier scores are the last training step that was logged before, because mmengine logs validations of
    training by iterations with the step 0. The result is None when there is no validation since the training was last
    started, because it has not ended then. Of two validations at the same step, before and after resuming, the later
    one counts.

    Args:
        work_dir: work dir of the training.
        prefix: what the keys of its scores begin with.
        metrics: scores that every validation has.

    Raises:
        StudyError: a line of a log that is not its last is damaged, or a score is no finite number.
    """
    logs = sorted(work_dir.glob("*/vis_data/scalars.json"))
    if not logs:
        return None
    by_step: dict[str, dict] = {}
    for log in logs:
        step, last = 0, None
        for line in _lines_of(log):
            step = line.get("iter", step)
            if all(prefix + name in line for name in metrics):
                last = str(step)
                if wrong := [name for name in metrics if not math.isfinite(line[prefix + name])]:
                    raise StudyError(f"{log}: {prefix}{wrong[0]} is {line[prefix + wrong[0]]} at step {step}")
                by_step[last] = {k.removeprefix(prefix): v for k, v in line.items() if k.startswith(prefix)}
    if last is None:
        return None
    score = by_step.pop(last)
    return score | ({"earlier": by_step} if by_step else {})


def segmentation_validations(work_dir: Path) -> dict | None:
    """Return what `validations` does of a segmentor."""
    return validations(work_dir, _SEGMENTATION, SEGMENTATION_METRICS)


def _lines_of(log: Path) -> list[dict]:
    """Read the lines of a log. The last one may be cut, by a kill or a full disk: it says nothing then.

    Raises:
        StudyError: another line is damaged.
    """
    texts = [text for text in log.read_text(errors="replace").splitlines() if text.strip()]
    lines = []
    for number, text in enumerate(texts, 1):
        try:
            lines.append(json.loads(text))
        except ValueError as error:
            if number < len(texts):
                raise StudyError(
                    f"{log}, line {number}: expected JSON, got {text[:40]!r}; remove {log.parents[2]} to run it anew"
                ) from error
    return lines
