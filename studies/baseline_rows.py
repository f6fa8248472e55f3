"""Rows of the blind baselines of a data set, and of what is trained on all labels, beside the rows of a study."""

import io
from collections.abc import Mapping, Sequence

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from .arguments import ALL_LABELS, CONSTANT_PART, POINTS, RANDOM_FROZEN
from .baseline_report import SENSORS
from .validation_log import METRICS, SEGMENTATION_METRICS


def baseline_rows(content: Mapping) -> list[dict]:
    """Return a row for each baseline: its name, sensor, share of the labels, mean scores from 0 to 1, `n` and seeds.

    Those that are trained also have their recipe, start and steps.

    Args:
        content: what tools/blind_baselines.py writes.
    """
    rows = []
    entry = content.get(CONSTANT_PART)
    for found in filter(None, (entry, (entry or {}).get("with_all_labels"))):
        rows.append(_row("boxes that see nothing", "none", found, found, METRICS))
    for part, name in ((RANDOM_FROZEN, "head on a frozen random encoder"), (ALL_LABELS, "everything trained")):
        entry = content.get(part, {})
        for found in (entry, *entry.get("fewer_labels", {}).values()):
            rows += [_row(name, sensor, found[sensor], found[sensor], METRICS) for sensor in SENSORS if sensor in found]
    if POINTS in content:
        found = content[POINTS]
        frequent = found["most_frequent"]
        rows.append(_row("points alone", "lidar", found, found, SEGMENTATION_METRICS))
        rows.append(_row(f"always {frequent['class']}", "none", found, frequent, SEGMENTATION_METRICS))
    return rows


def baseline_table(rows: Sequence[Mapping]) -> str:
    """Return the rows as a table in Markdown, in points of 0–100."""
    metrics = (*METRICS, *SEGMENTATION_METRICS)
    table = Table("baseline", "sensor", "labels", *metrics, "n", box=MARKDOWN)
    for row in rows:
        scores = [f"{100 * row[metric]:.2f}" if metric in row else "–" for metric in metrics]
        table.add_row(row["baseline"], row["sensor"], f"{row['fraction']:.0%}", *scores, str(row["n"]))
    text = io.StringIO()
    Console(file=text, width=140).print(table)
    return text.getvalue().strip()


def _row(name: str, sensor: str, entry: Mapping, scores: Mapping, metrics: Sequence[str]) -> dict:
    about = {"baseline": name, "sensor": sensor, "fraction": entry["fraction"]}
    more = {key: entry[key] for key in ("n", "seeds", "recipe", "start", "steps") if key in entry}
    return about | {metric: scores[metric] for metric in metrics} | more
