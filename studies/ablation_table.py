"""The table of a pre-training's choices, one by one, each beside the recipe as it is.

docs/results/pretraining_ablation.json is what tools/segmentation_study.py writes. All its starts are pre-trained by one
recipe for as many steps: `pretrained` as it is, every other one with what `pretrain_options` names as START:KEY=VALUE.
"""

from collections.abc import Mapping, Sequence

from .arguments import SCRATCH
from .checked_rows import checked_rows, compared_in_segmentation, starts_in
from .measured_values import ResultsError, entries, listed, markdown_table, measured_on, name, score
from .named_starts import options_by_name
from .paired_scores import TWO_SPREADS, compare_seeds, format_gain, format_pairs, format_side, summarize
from .runs import StudyError
from .segmentation_study import METRIC
from .transfer_study import PRETRAINED

_COLUMNS = ("protocol", "labels", "changed", METRIC, "gain", "n", "seed by seed", "in std", "beyond two std")
_NOTE = (
    "gain = mean(changed) - mean(recipe as it is), of the seeds with both; ahead or behind: by more than "
    f"{TWO_SPREADS}. All share one recipe as it is: when it scores low by chance, all others gain."
)


def table_of(content: Mapping, file: str) -> str:
    """Return the table in Markdown, mIoU in points of 0–100, with what all starts share above it.

    Args:
        content: what the study wrote.
        file: name of its file, for errors.

    Raises:
        ResultsError: a row contradicts its scores, is of another metric, or lacks the recipe as it is; pre-trainings
            differ in recipe or steps; what a start changed is not told.
    """
    rows = checked_rows(content, file, compared_in_segmentation)
    starts = list(dict.fromkeys(start for row in rows for start in starts_in(row)))
    shared, changes = _options(content, starts, file)
    changed = {PRETRAINED: "nothing, the recipe as it is", SCRATCH: "no pre-training"} | changes
    table = []
    for k, row in enumerate(rows):
        place = f"{file}: rows[{k}]"
        if row.get("metric") != METRIC:
            raise ResultsError(f"{place}.metric: expected {METRIC}, found {row.get('metric')}")
        there = starts_in(row)
        if PRETRAINED not in there:
            raise ResultsError(f"{place}: expected {PRETRAINED}, the recipe as it is, found {', '.join(there)}")
        cells = (row["protocol"], f"{100 * score(row['fraction'], f'{place}.fraction'):g}%")
        for start in (PRETRAINED, SCRATCH, *(start for start in there if start != PRETRAINED)):
            for value in row[start]["values"]:
                score(value, f"{place}.{start}.values")
            table.append((*cells, changed[start], *_scores(row[PRETRAINED], row[start])))
            cells = ("", "")
    return f"{_about(content, shared, file)}\n\n{markdown_table(_COLUMNS, table)}\n\n{_NOTE}"


def _scores(recipe: Mapping, side: Mapping) -> Sequence[str]:
    """Return the cells of a start from its score on; those that compare are empty for the recipe as it is."""
    compared = compare_seeds(summarize(recipe["values"]), summarize(side["values"]))
    if side is recipe:
        return format_side(side), "", str(compared["n"]), "", "", ""
    gain, ratio, verdict = format_gain(compared)
    if compared["spread"] is not None and abs(compared["gain"]) > 2 * compared["spread"]:
        verdict = "ahead" if compared["gain"] > 0 else "behind"
    return format_side(side), gain, str(compared["n"]), format_pairs(compared["pairs"]), ratio, verdict


def _options(content: Mapping, starts: Sequence[str], file: str) -> tuple[Sequence[str], dict[str, str]]:
    """Return the options of all pre-trainings, and those of each changed start as code."""
    place = f"{file}: pretrain_options"
    options = [name(option, place) for option in listed(content.get("pretrain_options"), place)]
    try:
        shared, own = options_by_name(place, options, starts)
    except StudyError as error:
        raise ResultsError(str(error)) from error
    for start in starts:
        if (start in own) == (start == PRETRAINED):
            expected = "none" if start == PRETRAINED else f"what {start} changes"
            raise ResultsError(f"{place}: expected {expected} as {start}:KEY=VALUE, found {_code(own.get(start, ()))}")
    return shared, {start: _code(found) for start, found in own.items()}


def _about(content: Mapping, shared: Sequence[str], file: str) -> str:
    """Return in words what all starts have in common, and what failed."""
    place = f"{file}: pretrainings"
    made = {key: entries(found, f"{place}.{key}") for key, found in entries(content["pretrainings"], place).items()}
    found = sorted({f"{one.get('recipe')}, {one.get('steps')} steps" for one in made.values()})
    if len(found) != 1:
        told = "; ".join(found) or "none"
        raise ResultsError(f"{place}: expected one recipe and as many steps for all, found {told}")
    settings = {"with": shared, "segmentors with": content.get("options", ())}
    told = (f"{what} {_code(options)}" for what, options in settings.items() if options)
    return measured_on(content, [f"pre-trained by {found[0]}", *told])


def _code(options: Sequence[str]) -> str:
    return ", ".join(f"`{option}`" for option in options) or "none"
