"""The table of a pre-training's choices, one by one, each beside the recipe as it is.

docs/results/pretraining_ablation.json is what tools/segmentation_study.py writes. Its start `pretrained` is the recipe
as it is, and every other start has a choice changed, which `pretrain_options` names as START:KEY=VALUE.
"""

from collections.abc import Mapping

from .arguments import SCRATCH
from .checked_rows import checked_rows, compared_in_segmentation, starts_in
from .measured_values import ResultsError, listed, markdown_table, name
from .paired_scores import compare_seeds, format_gain, format_pairs, format_side, summarize
from .transfer_study import PRETRAINED

_COLUMNS = ("protocol", "labels", "changed", "mIoU", "gain", "n", "seed by seed", "in std", "beyond two std")
_NOT_CHANGED = {PRETRAINED: "nothing, the recipe as it is", SCRATCH: "no pre-training"}
_FORMULA = (
    "gain = mean(changed) - mean(recipe as it is), of the seeds with both; beyond two standard deviations: gain > "
    "2 * sqrt((s1² + s2²) / 2), with s1 and s2 the standard deviations over these seeds (n - 1)."
)


def table_of(content: Mapping, file: str) -> str:
    """Return the table in Markdown, mIoU in points of 0–100, with the formula of the verdict below.

    Args:
        content: what the study wrote.
        file: name of its file, for errors.

    Raises:
        ResultsError: a row contradicts its scores or lacks the recipe as it is, or what a start changed is not told.
    """
    table = []
    for k, row in enumerate(checked_rows(content, file, compared_in_segmentation)):
        starts = starts_in(row)
        if PRETRAINED not in starts:
            found = ", ".join(starts)
            raise ResultsError(f"{file}: rows[{k}]: expected {PRETRAINED}, the recipe as it is, found {found}")
        cells = (row["protocol"], f"{100 * row['fraction']:g}%")
        recipe = summarize(row[PRETRAINED]["values"])
        for start in (PRETRAINED, SCRATCH, *(start for start in starts if start != PRETRAINED)):
            changed = _NOT_CHANGED.get(start) or _changed(content, start, file)
            compared = compare_seeds(recipe, summarize(row[start]["values"]))
            gain, ratio, verdict = format_gain(compared)
            of_pair = (gain, str(compared["n"]), format_pairs(compared["pairs"]), ratio, verdict)
            of_recipe = ("", str(compared["n"]), "", "", "")
            table.append((*cells, changed, format_side(row[start]), *(of_recipe if start == PRETRAINED else of_pair)))
            cells = ("", "")
    return f"{markdown_table(_COLUMNS, table)}\n\n{_FORMULA}"


def _changed(content: Mapping, start: str, file: str) -> str:
    """Return the options of a start, as code."""
    place, prefix = f"{file}: pretrain_options", f"{start}:"
    options = [name(option, place) for option in listed(content.get("pretrain_options"), place)]
    own = [option.removeprefix(prefix) for option in options if option.startswith(prefix)]
    if not own:
        raise ResultsError(f"{place}: expected what {start} changes, as {prefix}KEY=VALUE, found none")
    return ", ".join(f"`{option}`" for option in own)
