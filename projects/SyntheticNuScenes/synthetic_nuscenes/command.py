"""This module holds the command line of tools/make_synthetic_nuscenes.py."""

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path

from .output.benchmarks import BENCHMARKS
from .synthetic_errors import SyntheticDataError

DEFAULT_SCENES = 10
DEFAULT_KEYFRAMES = 8
DEFAULT_IMAGE_SIZE = (800, 450)
_FIXED = ("scenes", "keyframes", "image_size", "seed", "passes")
"""What a benchmark fixes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tools/make_synthetic_nuscenes.py."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    names = "; ".join(f"{name}: {benchmark.purpose}" for name, benchmark in BENCHMARKS.items())
    parser.add_argument("--benchmark", choices=list(BENCHMARKS), help=f"a data set with a name, all fixed. {names}")
    parser.add_argument(
        "--scenes",
        type=at_least(1),
        help=f"drives, so places times --passes; default {DEFAULT_SCENES}; up to 10 make a v1.0-mini, more, or "
        "--passes above 1, a v1.0-trainval",
    )
    parser.add_argument(
        "--keyframes", type=at_least(2), help=f"per scene, two a second, at least 2; default {DEFAULT_KEYFRAMES}"
    )
    parser.add_argument(
        "--image-size", type=image_size, metavar="WxH", help="pixels, default 800x450; nuScenes has 1600x900"
    )
    seeds = ", ".join(f"{benchmark.seed} of {name}" for name, benchmark in BENCHMARKS.items())
    parser.add_argument(
        "--seed",
        type=at_least(0),
        help=f"equal seeds have equal towns, and equal names of files; default 0. Benchmarks have {seeds}",
    )
    parser.add_argument(
        "--passes",
        type=at_least(1),
        help="drives through each place at different times of day: the first of each for training, others for "
        "validation; default 1, where one drive in five goes where the one before it went",
    )
    parser.add_argument("--workers", type=at_least(1), default=1, help="processes, a scene each; default %(default)s")
    parser.add_argument(
        "--preview", type=file_with(".png"), metavar="FILE.png", help="draw images and a view from above"
    )
    parser.add_argument(
        "--report",
        type=file_with(".json"),
        metavar="FILE.json",
        help="say where classes are, how often, and how alike drives are; draws FILE.png, FILE_drives.png and "
        "FILE_front.png beside it. Of what is in --out already; with --benchmark or a size it is made first",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="make nothing: compare the files in --out with the hashes of the benchmark; exit code 1 where they "
        "differ, 2 where there is nothing to compare",
    )
    parser.add_argument(
        "--hashes", type=file_with(".json"), metavar="FILE.json", help="write the hashes of the benchmark into a file"
    )


def image_size(text: str) -> tuple[int, int]:
    """Parse an image size: the text `800x450` gives (800, 450).

    Raises:
        argparse.ArgumentTypeError: for any other form.
    """
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no image size; it looks like 800x450")
    return int(found[1]), int(found[2])


def file_with(suffix: str) -> Callable[[str], Path]:
    """Make a reader of paths with a suffix; it raises ArgumentTypeError for any other."""

    def read(text: str) -> Path:
        if not text.lower().endswith(suffix):
            raise argparse.ArgumentTypeError(f"expected a file *{suffix}, got {text!r}")
        return Path(text)

    return read


def at_least(least: int) -> Callable[[str], int]:
    """Make a reader of whole numbers of at least `least`; it raises ArgumentTypeError for anything else."""

    def read(text: str) -> int:
        value = int(text) if re.fullmatch(r"-?\d+", text) else least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
        return value

    return read


def make(arguments: argparse.Namespace) -> int:
    """Make the data set, or look at the one that is there, and print what came of it.

    Returns:
        The exit code: 1 where `--check` finds files that differ from the stored hashes, else 0. After making they are
        a warning.

    Raises:
        SyntheticDataError: the arguments make no data set, or something is in its way.
        OSError: a file cannot be written.
    """
    _refuse_both(arguments)
    # Not at the top: they take a second, and `--help` does without.
    from .output.benchmark_check import check_benchmark
    from .output.dataset import finished_note

    sized = arguments.benchmark or any(getattr(arguments, name) is not None for name in _FIXED)
    note = finished_note(arguments.out)
    if arguments.check:
        _refuse_check(arguments, note)
    if arguments.report and note is None and not sized:
        raise SyntheticDataError(
            f"--report: {arguments.out} holds no finished synthetic data set; name a --benchmark or --scenes to make "
            "one"
        )
    made, agrees = False, None
    if not arguments.check and (sized or note is None or not (arguments.report or arguments.hashes)):
        made = _make(arguments)
        note = finished_note(arguments.out)
    if arguments.check or arguments.hashes or (made and arguments.benchmark):
        agrees = check_benchmark(arguments.out, note, arguments.hashes)
    if arguments.check and agrees is None and arguments.hashes is None:
        raise SyntheticDataError(f"--check: no hashes are stored for {arguments.out}, so nothing was compared")
    if arguments.preview is not None:
        from .views.preview import draw_preview

        for path in draw_preview(arguments.out, arguments.preview):
            print(f"preview: {path}")
    if arguments.report is not None:
        from .views.report import make_report

        for path in make_report(arguments.out, arguments.report, note.get("benchmark")):
            print(f"report: {path}")
    return 1 if arguments.check and agrees is False else 0


def _refuse_both(arguments: argparse.Namespace) -> None:
    """Refuse numbers that something else fixes.

    Raises:
        SyntheticDataError: there are some.
    """
    given = [f"--{name.replace('_', '-')}" for name in _FIXED if getattr(arguments, name) is not None]
    if given and arguments.benchmark:
        raise SyntheticDataError(
            f"--benchmark {arguments.benchmark} fixes {' and '.join(given)}: leave that out, or the benchmark"
        )
    if given and (arguments.check or arguments.hashes):
        option = "--check" if arguments.check else "--hashes"
        raise SyntheticDataError(f"{option} is of a benchmark, which fixes {' and '.join(given)}: leave that out")


def _refuse_check(arguments: argparse.Namespace, note: dict | None) -> None:
    """Refuse to compare a folder that holds no finished data set, or not the benchmark that is named.

    Raises:
        SyntheticDataError: it is such a folder.
    """
    if note is None:
        partial = arguments.out.with_name(f"{arguments.out.name}.partial")
        unfinished = (
            f"; {partial} is one that the same command without --check goes on with" if partial.is_dir() else ""
        )
        raise SyntheticDataError(f"--check: {arguments.out} holds no finished synthetic data set{unfinished}")
    name = note.get("benchmark")
    if arguments.benchmark not in (None, name):
        raise SyntheticDataError(
            f"--check: {arguments.out} is {name or 'no benchmark'}, not {arguments.benchmark}; leave out --benchmark"
        )


def _make(arguments: argparse.Namespace) -> bool:
    from .output.dataset import make_dataset
    from .output.recording import Recording
    from .output.tables import version_and_names

    started = time.monotonic()
    if arguments.benchmark:
        benchmark = BENCHMARKS[arguments.benchmark]
        scenes, recording = benchmark.scenes, benchmark.recording()
    else:
        scenes = arguments.scenes or DEFAULT_SCENES
        width, height = arguments.image_size or DEFAULT_IMAGE_SIZE
        keyframes = arguments.keyframes or DEFAULT_KEYFRAMES
        recording = Recording(arguments.seed or 0, keyframes, width, height, passes=arguments.passes or 1)
    made = make_dataset(arguments.out, scenes, recording, arguments.workers)
    if made:
        seconds = time.monotonic() - started
        version, _ = version_and_names(scenes, recording.passes)
        size = f"{scenes} scenes, {scenes * recording.keyframes} key frames"
        print(f"{size} in {seconds:.0f} s: {arguments.out}, version {version}")
    else:
        print(f"{arguments.out} is already there, made with the same arguments; --check compares its files")
    return made
