"""The table of lifts on streets-v1: what each renders, and what a detector on it gains from pre-training.

docs/results/lifts.json is an object; `null` is what was not run:

| key | content |
|---|---|
| `data`, `seed` | name of the benchmark; seed of all trainings |
| `guess` | `AbsRel` of the median depth and `PSNR` (dB) of the mean color over the same held-out rays |
| `rows` | a list; each row has `lift`, its name; `steps`, with the numbers `pretraining` and `detector`; `AbsRel` and `PSNR` (dB) of held-out rays after pre-training; `probe`, of either start the area under the ROC curve (0 to 1) of tools/linear_probe.py, object or none; `scratch` and `pretrained`, the detectors of either start, each with `mAP` and `NDS` from 0 to 1 |
"""  # noqa: E501

from collections.abc import Mapping

from .measured_values import NOT_RUN, entries, listed, markdown_table, name, percent, positive_number, score
from .validation_log import METRICS

_STARTS = ("scratch", "pretrained")
_KEYS = ("lift", "steps", "AbsRel", "PSNR", "probe", *_STARTS)


def table_of(content: Mapping, place: str) -> str:
    """Return the table of the lifts in Markdown; mAP and NDS in per cent.

    Args:
        content: what the file holds.
        place: name of the file, for errors.

    Raises:
        ResultsError: a key is unknown, or a value is not of its kind.
    """
    entries(content, place, ("data", "seed", "guess", "rows"))
    guess = entries(content.get("guess"), f"{place}: guess", ("AbsRel", "PSNR"))
    depth, color = (_number(guess, key, f"{place}: guess", digits) for key, digits in (("AbsRel", 3), ("PSNR", 1)))
    columns = ("lift", "steps: pre-training, detector", f"AbsRel (median depth {depth})")
    columns += (f"PSNR, dB (mean color {color})", "linear probe: scratch, pre-trained (a coin 50.0)")
    columns += ("scratch, mAP / NDS", "pre-trained, mAP / NDS")
    rows = []
    for k, row in enumerate(listed(content.get("rows"), f"{place}: rows")):
        at = f"{place}: rows[{k}]"
        entries(row, at, _KEYS)
        steps = entries(row.get("steps"), f"{at}.steps", ("pretraining", "detector"))
        counted = ", ".join(_number(steps, key, f"{at}.steps", 0) for key in ("pretraining", "detector"))
        rendered = (_number(row, "AbsRel", at, 3), _number(row, "PSNR", at, 1))
        scored = (_scores(row.get(start), f"{at}.{start}") for start in _STARTS)
        probe = entries(row.get("probe") or {}, f"{at}.probe", _STARTS)
        probed = ", ".join(percent(score(probe.get(start), f"{at}.probe.{start}")) for start in _STARTS)
        rows.append((name(row.get("lift"), f"{at}.lift"), counted, *rendered, probed, *scored))
    return markdown_table(columns, rows)


def _number(found: Mapping, key: str, place: str, digits: int) -> str:
    value = positive_number(found.get(key), f"{place}.{key}")
    return NOT_RUN if value is None else f"{value:,.{digits}f}"


def _scores(found: object, place: str) -> str:
    if found is None:
        return NOT_RUN
    entries(found, place, METRICS)
    return " / ".join(percent(score(found.get(key), f"{place}.{key}")) for key in METRICS)
