"""All checks on one info file, as a table and an exit code."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from ponderv2.datasets.info_file import InfoFileError
from ponderv2.errors import UserError

from .box_checks import check_boxes
from .camera_checks import check_cameras
from .finding import Finding, Result
from .image_edges import check_image_edges
from .label_checks import check_point_labels
from .legacy import UnusableInput, load_for_checks
from .sampled_frame import SampledFrame
from .sweep_checks import PUBLISHED, check_sweeps, readings_apart, sweep_matrix

_COLORS = {Result.PASS: "green", Result.FAIL: "bold red", Result.UNVERIFIABLE: "yellow"}


def check_info_file(path: Path, root: Path | None = None, frames: int = 20) -> list[Finding]:
    """Run all checks on an info file; returns one finding for each convention.

    Args:
        path: info file in mmdet3d's v2 format or this project's superset of it.
        root: folder with `samples/` and `sweeps/`; None takes the folder of the info file.
        frames: largest number of key frames that are read, spread evenly over the file; a quarter more is read where
            the car turns most.

    Raises:
        UnusableInput: there is nothing that can be checked; `LegacyInfoFile` for files before mmdet3d 1.0.
    """
    info = load_for_checks(path)
    root = path.parent if root is None else root
    if not root.is_dir():
        raise UnusableInput(f"data folder {root} does not exist")
    names = info["metainfo"].get("categories", {})
    categories = {int(label): name for name, label in names.items()}
    try:
        version = str(info["metainfo"].get("version", "v1.0-trainval"))
        everything = [SampledFrame(frame, root, categories, version) for frame in info["data_list"]]
        everything.sort(key=lambda frame: frame.info.get("timestamp", 0.0))
        evenly = _evenly(everything, frames)
        turning = _most_turning(everything, max(1, frames // 4))
        return [
            _files(evenly),
            *check_boxes(evenly),
            *check_cameras(evenly),
            check_image_edges(evenly),
            *check_sweeps(evenly + [frame for frame in turning if frame not in evenly]),
            *check_point_labels(evenly),
        ]
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError) as error:
        if isinstance(error, UserError) and not isinstance(error, InfoFileError):
            raise
        what = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise UnusableInput(f"info file {path} is not laid out as mmdet3d's v2 format: {what}") from error


def _evenly(frames: Sequence[SampledFrame], count: int) -> list[SampledFrame]:
    places = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [frames[k] for k in places]


def _most_turning(frames: Sequence[SampledFrame], count: int) -> list[SampledFrame]:
    """Choose frames where the alignment of sweeps matters most; by matrices alone, no file is read."""

    def turn(frame: SampledFrame) -> float:
        matrix = sweep_matrix(frame, len(frame.sweeps) - 1) if frame.sweeps else None
        return 0.0 if matrix is None else readings_apart(matrix, PUBLISHED)

    return sorted(frames, key=turn, reverse=True)[:count]


def _files(frames: Sequence[SampledFrame]) -> Finding:
    name, convention = "files", "under samples/ and sweeps/ of the data folder"
    files = [path for frame in frames for path in frame.files()]
    missing = [path for path in files if not path.is_file() or not path.stat().st_size]
    if missing:
        evidence = f"{len(missing)} of {len(files)} are missing or empty, first {missing[0]}"
        return Finding(name, convention, Result.FAIL, evidence)
    return Finding(name, convention, Result.PASS, f"{len(files)} files of {len(frames)} key frames are there")


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print the report as a table, and one line that sums it up."""
    table = Table(show_lines=True)
    for column, options in (("check", {"no_wrap": True}), ("convention", {}), ("result", {}), ("evidence", {})):
        table.add_column(column, **options)
    for finding in findings:
        color = _COLORS[finding.result]
        table.add_row(finding.check, finding.convention, f"[{color}]{finding.result.value}[/]", finding.evidence)
    console.print(table)
    counts = {result: sum(f.result is result for f in findings) for result in Result}
    console.print(", ".join(f"{count} {result.value}" for result, count in counts.items()))
    failed = {finding.check for finding in findings if finding.result is Result.FAIL}
    if {"box size order", "box yaw"} <= failed:
        console.print(
            "Size order and yaw are both wrong: these look like boxes of mmdet3d before 1.0. A detector would train "
            "well on them, with mASE near 0.71 and mAOE near 1.5. Make the info file anew with tools/create_data.py."
        )


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 0 when nothing fails, 1 otherwise; what cannot be verified does not fail."""
    return int(any(finding.result is Result.FAIL for finding in findings))
