"""The tables and pictures of docs/, made from the files of docs/results."""

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ponderv2.atomic_files import unfinished_path, write_atomically

from . import ablation_table, baseline_report, condense_table, lift_table, segmentation_report, transfer_report
from .checked_rows import checked_rows, compared_in_segmentation, compared_in_transfer, starts_in
from .marked_blocks import names_of_blocks, replace_blocks
from .measured_values import ResultsError, measured_on
from .result_parts import OTHER_BYTES, join_parts, part_files

NO_RESULTS = "Not run."
"""Content of the block of a table whose file is not there."""
_SEEDS = {"seeds": "fine-tuning", "pretrain_seeds": "pre-training"}
_MADE_FROM = "made-from"
"""Key in a picture of the hash of the results that it shows; bytes of pictures differ with versions of matplotlib."""


@dataclass(frozen=True)
class ResultTable:
    """How a file of docs/results is shown.

    Attributes:
        table: makes the table in Markdown from the content of the file and its name; the name is for errors.
        draw: draws the picture of the content into a PNG file; None where there is no picture.
        caption: text of the picture.
        in_parts: whether other studies may add rows, in `NAME-PART.json`.
    """

    table: Callable[[Mapping, str], str]
    draw: Callable[[Path, Mapping], None] | None = None
    caption: str = ""
    in_parts: bool = False


def make_tables(docs: Path, check: bool) -> list[str]:
    """Write the tables and pictures of all pages anew; with `check` compare alone, and write nothing.

    The block NAME of a page shows `results/NAME.json`, of a transfer study with its parts `results/NAME-*.json`, and
    has the picture `images/NAME.png` above the table where there is one. What is up to date is left alone.

    Args:
        docs: folder of the pages, with `results` and `images`.
        check: whether nothing is written.

    Returns:
        A line for each page and picture that was not up to date.

    Raises:
        ResultsError: a file of results is damaged, or not what its table is made from; a block names no table.
        BlockError: markers of a page do not form blocks.
    """
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(docs.glob("*.md"))}
    contents = {}
    for path, text in pages.items():
        for name in names_of_blocks(text, str(path)):
            if name not in TABLES:
                raise ResultsError(f"{path}: expected a table of {', '.join(TABLES)}, found {name!r}")
            contents[name] = _content_of(docs / "results", name)
    blocks = {name: block_of(name, content) for name, content in contents.items()}
    changed = []
    for name, content in contents.items():
        picture = docs / "images" / f"{name}.png"
        if content is not None and TABLES[name].draw is not None and _made_from(picture) != _digest(content):
            changed.append(str(picture))
            if not check:
                _write_picture(picture, TABLES[name].draw, content)
    for path, text in pages.items():
        new = replace_blocks(text, str(path), blocks.__getitem__)
        if new != text:
            changed.append(str(path))
            if not check:
                write_atomically(path, new.encode())
    return changed


def block_of(name: str, content: Mapping | None, file: str = "") -> str:
    """Return what the block of a table holds: its picture, if it has one, and the table; None is `NO_RESULTS`.

    Args:
        name: of the table.
        content: of its file; None where there is no file.
        file: name of the file for errors; that of the table by default.

    Raises:
        ResultsError: the content is not what the table is made from.
    """
    if content is None:
        return NO_RESULTS
    shown, file = TABLES[name], f"docs/results/{file or f'{name}.json'}"
    try:
        table = _compact(shown.table(content, file))
    except ResultsError:
        raise
    except KeyError as error:
        raise ResultsError(f"{file}: expected what the study writes, with the key {error}") from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise ResultsError(f"{file}: expected what the study writes ({error})") from error
    return table if shown.draw is None else f"![{shown.caption}](images/{name}.png)\n\n{table}"


def read_results(path: Path) -> dict:
    """Return the content of a file of results.

    Raises:
        ResultsError: it is no JSON object, or has numbers that are not finite.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path}: expected JSON: {error}") from error
    if not isinstance(content, dict):
        raise ResultsError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _content_of(folder: Path, name: str) -> Mapping | None:
    """Return the content of a table, joined where it has several files; None where it has none."""
    parts = {path: read_results(path) for path in part_files(folder, name)}
    if not TABLES[name].in_parts and any(path.stem != name for path in parts):
        raise ResultsError(f"{folder / name}.json: this table has no parts, found {[*parts][-1].name}")
    for path, content in parts.items():
        # Each by itself as well, so that an error tells its file and the row in it.
        block_of(name, content, path.name)
    return join_parts(parts) if parts else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _compact(text: str) -> str:
    """Return the text with the cells of its tables without padding: a longer cell then changes its own line alone."""
    lines = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip()[1:-1].split("|")]
        if line.startswith("|") and all(re.fullmatch("-+", cell) for cell in cells):
            line = "|" + "---|" * len(cells)
        elif line.startswith("|"):
            line = f"| {' | '.join(cells)} |"
        lines.append(line)
    return "\n".join(lines)


def _segmentation(content: Mapping, file: str) -> str:
    rows = checked_rows(content, file, compared_in_segmentation)
    return segmentation_report.table_of(rows, _arms(rows))


def _draw_segmentation(path: Path, content: Mapping) -> None:
    from .segmentation_picture import draw

    draw(path, content["rows"], _arms(content["rows"]))


def _arms(rows: list[dict]) -> list[str]:
    """Return the names of the pre-trainings in the rows of a segmentation study."""
    return list(dict.fromkeys(start for row in rows for start in starts_in(row)))


def _transfer(content: Mapping, file: str) -> str:
    table = transfer_report.table_of(checked_rows(content, file, compared_in_transfer))
    seeds = [f"{len(content[key])} {what}" for key, what in _SEEDS.items() if content.get(key)]
    about = [f"{' × '.join(seeds)} seeds"]
    if content.get(OTHER_BYTES):
        about.append(f"files with other hashes, as another kind of CPU makes, for {', '.join(content[OTHER_BYTES])}")
    return f"{measured_on(content, about)}\n\n{table}"


def _draw_transfer(path: Path, content: Mapping) -> None:
    from .transfer_picture import draw

    draw(path, content["rows"], content.get(OTHER_BYTES, ()))


def _draw_lengths(path: Path, content: Mapping) -> None:
    from .transfer_picture import draw_lengths

    if not draw_lengths(path, content["rows"]):
        raise ResultsError(f"{path.stem}: expected pre-trainings of several lengths")


def _digest(content: Mapping) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _made_from(picture: Path) -> str | None:
    """Return the hash of the results that a picture was made from; None where it is not there or has none."""
    if not picture.is_file():
        return None
    try:
        with Image.open(picture) as image:
            return getattr(image, "text", {}).get(_MADE_FROM)
    except OSError:
        return None


def _write_picture(path: Path, draw: Callable[[Path, Mapping], None], content: Mapping) -> None:
    """Draw a picture of the content, and write into the file what it was made from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = unfinished_path(path).with_suffix(".png")
    try:
        draw(drawn, content)
        note, data = PngInfo(), io.BytesIO()
        note.add_text(_MADE_FROM, _digest(content))
        with Image.open(drawn) as image:
            image.save(data, format="PNG", pnginfo=note, optimize=True)
    finally:
        drawn.unlink(missing_ok=True)
    write_atomically(path, data.getvalue())


TABLES = {
    "streets_v1_baselines": ResultTable(lambda content, file: baseline_report.table_of(content)),
    "lifts": ResultTable(lift_table.table_of),
    "condense": ResultTable(condense_table.table_of),
    "segmentation_study": ResultTable(
        _segmentation, _draw_segmentation, "mIoU of segmentors by start, protocol and share of the labels"
    ),
    "transfer_study": ResultTable(_transfer, _draw_transfer, "Scores by start and share of the labels", in_parts=True),
    "transfer_lengths": ResultTable(
        _transfer, _draw_lengths, "Scores by the length of the pre-training", in_parts=True
    ),
    "fusion_study": ResultTable(_transfer, in_parts=True),
    "pretraining_ablation": ResultTable(ablation_table.table_of),
}
"""The tables by their name: that of the block, of the file and of the picture."""
