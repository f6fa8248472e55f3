"""The record of blind baselines: one JSON file that each part is merged into, and a table."""

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path

from rich.box import MARKDOWN
from rich.table import Table

from ponderv2 import __version__
from ponderv2.compat.versions import installed_versions
from ponderv2.evaluation.text_table import table_text
from ponderv2.folder_lock import FolderInUseError, folder_lock
from synthetic_nuscenes.output.dataset import finished_note
from synthetic_nuscenes.output.dataset_hashes import dataset_hashes

from .arguments import ALL_LABELS, CONSTANT_PART, POINTS, RANDOM_FROZEN, SCRATCH
from .paired_scores import summarize
from .runs import StudyError, differences, read_json, write_json
from .transfer_study import PRETRAINED
from .true_boxes import table_hashes
from .validation_log import METRICS, SEGMENTATION_METRICS

FIRST = "camera"
"""The sensor whose scores stand at the top of a part."""
SENSORS = ("camera", "lidar")
ALL = 1.0
"""Share of the labels of everything trained, and so of what is compared with it."""
_COMPARED = ("recipe", "fraction", "labelled_frames", "scored_frames", "steps", "options")
"""What two detectors have to share for a ratio of their scores to mean anything."""
_POINTS_ALONE = "points alone"
_SEES = {"none": "nothing"}
_STARTS = {PRETRAINED: ", from a pre-trained encoder", SCRATCH: ", from scratch"}
_PATIENCE = 60.0
"""Seconds that another process is given to write its part, which takes it some milliseconds."""


def data_identity(data_root: Path) -> dict:
    """Return what tells a data set from others: name and hashes of a synthetic one, hashes of the tables of any other.

    Raises:
        SyntheticDataError: the note of a synthetic data set is damaged.
    """
    note = finished_note(data_root)
    if note is None:
        return {"benchmark": None, "tables": table_hashes(data_root)}
    return {"benchmark": note.get("benchmark"), "format": note["format"], "sha256": dataset_hashes(data_root)}


def read_baselines(path: Path, identity: dict, option: str = "--json") -> dict:
    """Return what a file of baselines holds of a data set; only what the data are where there is no file.

    Raises:
        StudyError: the file is damaged, or of other data.
    """
    if not path.is_file():
        return {"data": identity}
    content = read_json(path)
    if content is None or not isinstance(content.get("data"), dict):
        raise StudyError(f"{option} {path}: expected blind baselines of an earlier run; give another file")
    if content["data"] != identity:
        changes = differences(content["data"], identity)
        kind = "other data"
        if content["data"].get("benchmark") == identity["benchmark"] is not None:
            kind = f"{identity['benchmark']} made on another kind of CPU or by another version"
        made = "give another file, which tools/blind_baselines.py makes"
        raise StudyError(f"{option} {path} holds baselines of {kind} ({changes}); {made}")
    return content


def detector_entry(scores: Sequence[Mapping[str, float] | None], seeds: Sequence[int]) -> dict:
    """Return mean mAP and NDS over seeds, their deviations, the values by seed, and the mean AP of each class.

    Args:
        scores: metrics of each seed; None where it failed.
        seeds: the seeds, in the same order.
    """
    by_metric = {name: summarize([s and s[name] for s in scores]) for name in METRICS}
    known = [s for s in scores if s]
    classes = [key for key in known[0] if key.endswith("_AP")]
    return {
        **{name: summary.mean for name, summary in by_metric.items()},
        "std": {name: summary.std for name, summary in by_metric.items()},
        "values": {name: summary.values for name, summary in by_metric.items()},
        "n": len(known),
        "seeds": list(seeds),
        "AP": {key.removesuffix("_AP"): sum(s[key] for s in known) / len(known) for key in classes},
    }


def merge(content: dict, part: str, entry: dict) -> dict:
    """Return the record with a part in it; of detectors, sensors and shares of labels that were not run again stay.

    See `detector_part` for the form of the parts `random_frozen` and `all_labels`.
    """
    if part in (RANDOM_FROZEN, ALL_LABELS):
        entry = detector_part({**_by_sensor_and_share(content.get(part, {})), **_by_sensor_and_share(entry)})
    return content | {part: entry} if entry else content


def detector_part(entries: Mapping[tuple[str, float], dict]) -> dict:
    """Return a part of detectors: those of all labels by sensor, others under `fewer_labels` by share and sensor.

    Its mAP and NDS are the camera's with all labels; a part without that detector has none.

    Args:
        entries: entry of each sensor and share of the labels.
    """
    of_all = {sensor: entries[sensor, ALL] for sensor in SENSORS if (sensor, ALL) in entries}
    scores = {name: of_all[FIRST][name] for name in METRICS} if FIRST in of_all else {}
    fewer: dict[str, dict] = {}
    for sensor, fraction in sorted(entries, key=lambda key: (key[1], SENSORS.index(key[0]))):
        if fraction != ALL:
            fewer.setdefault(f"{fraction:g}", {})[sensor] = entries[sensor, fraction]
    return {**scores, **of_all, **({"fewer_labels": fewer} if fewer else {})}


def _by_sensor_and_share(part: dict) -> dict[tuple[str, float], dict]:
    """Return the entries of a part of detectors; each says itself of which share it is."""
    groups = [part, *part.get("fewer_labels", {}).values()]
    return {(s, group[s]["fraction"]): group[s] for group in groups for s in SENSORS if s in group}


def add_to_baselines(path: Path, identity: dict, part: str, entry: dict) -> dict:
    """Merge a part into a file of baselines, and return what the file then holds.

    The file is read anew, so that what other processes wrote since stays, and locked until it is written.

    Raises:
        StudyError: the file is damaged, or of other data.
        FolderInUseError: another process has locked it for a minute.
    """
    with _locked(path):
        content = merge(read_baselines(path, identity), part, entry)
        write_baselines(path, content)
    return content


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes from a file while the block runs; waits for one that has it."""
    started = time.monotonic()
    with ExitStack() as stack:
        while True:
            lock = folder_lock(path.parent, f".{path.name}.lock", f"writing {path.name}", "--json")
            try:
                stack.enter_context(lock)
                break
            except FolderInUseError:
                if time.monotonic() - started > _PATIENCE:
                    raise
                time.sleep(0.05)
        yield


def write_baselines(path: Path, content: dict) -> None:
    """Write the record, with the versions of what it was measured with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packages = ("nuscenes-devkit", "scikit-learn")
    versions = installed_versions() | {name: metadata.version(name) for name in packages} | {"ponderv2": __version__}
    write_json(path, content | {"versions": versions, "machine": platform.machine()})


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
        rows.append(_row(_POINTS_ALONE, "lidar", found, found, SEGMENTATION_METRICS))
        rows.append(_row(f"always {frequent['class']}", "none", found, frequent, SEGMENTATION_METRICS))
    return rows


def table_of(content: Mapping) -> str:
    """Return a row for each baseline in Markdown, in per cent, and what frozen random encoders reach of trained."""
    metrics = (*METRICS, *SEGMENTATION_METRICS)
    table = Table("baseline", "sees", "labels", *metrics, "seeds", box=MARKDOWN)
    for row in baseline_rows(content):
        sees = "one point" if row["baseline"] == _POINTS_ALONE else _SEES.get(row["sensor"], row["sensor"])
        scores = [f"{100 * row[metric]:.1f}" if metric in row else "–" for metric in metrics]
        start = _STARTS.get(row.get("start"), "")
        table.add_row(row["baseline"] + start, sees, f"{100 * row['fraction']:g}%", *scores, str(row["n"]))
    ratios = []
    for sensor in SENSORS:
        frozen, trained = (content.get(part, {}).get(sensor) for part in (RANDOM_FROZEN, ALL_LABELS))
        if frozen and trained:
            ratios.append(f"{sensor}: {_ratio(frozen, trained)}")
    return "\n\n".join(filter(None, (table_text(table, width=140), "; ".join(ratios))))


def _row(name: str, sensor: str, entry: Mapping, scores: Mapping, metrics: Sequence[str]) -> dict:
    about = {"baseline": name, "sensor": sensor, "fraction": entry["fraction"]}
    more = {key: entry[key] for key in ("n", "seeds", "recipe", "start", "steps") if key in entry}
    return about | {metric: scores[metric] for metric in metrics} | more


def _ratio(frozen: dict, trained: dict) -> str:
    """Say what a frozen random encoder reaches of everything trained, where both had the same labels and schedule."""
    differ = [k for k in _COMPARED if frozen.get(k) != trained.get(k)]
    if differ:
        told = ", ".join(f"{k} {frozen.get(k)} and {trained.get(k)}" for k in differ)
        return f"frozen random and everything trained are not compared, they differ in {told}"
    if not trained["mAP"]:
        return "everything trained has no mAP to compare with"
    return f"frozen random {frozen['mAP'] / trained['mAP']:.0%} of the mAP of everything trained"
