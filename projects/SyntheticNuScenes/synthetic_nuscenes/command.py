"""This module holds the command line of tools/make_synthetic_nuscenes.py."""

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path

DEFAULT_IMAGE_SIZE = (800, 450)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tools/make_synthetic_nuscenes.py."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the new data set")
    parser.add_argument("--scenes", type=at_least(1), default=10, help="default %(default)s; up to 10 make a v1.0-mini")
    parser.add_argument("--keyframes", type=at_least(2), default=8, help="per scene, two a second; default %(default)s")
    parser.add_argument(
        "--image-size",
        type=image_size,
        default=DEFAULT_IMAGE_SIZE,
        metavar="WxH",
        help="pixels, default 800x450; nuScenes has 1600x900",
    )
    parser.add_argument("--seed", type=at_least(0), default=0)
    parser.add_argument("--workers", type=at_least(1), default=1, help="processes, a scene each; default %(default)s")
    parser.add_argument(
        "--preview", type=png_file, metavar="FILE.png", help="also draw the first scene: images and top view"
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


def png_file(text: str) -> Path:
    """Read the path of a PNG; raises ArgumentTypeError for any other suffix."""
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"expected a file *.png, got {text!r}")
    return Path(text)


def at_least(least: int) -> Callable[[str], int]:
    """Make a reader of whole numbers of at least `least`; it raises ArgumentTypeError for anything else."""

    def read(text: str) -> int:
        value = int(text) if re.fullmatch(r"-?\d+", text) else least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
        return value

    return read


def make(arguments: argparse.Namespace) -> None:
    """Make the data set and print what came of it.

    Raises:
        SyntheticDataError: the arguments make no data set, or something is in its way.
        OSError: a file cannot be written.
    """
    # Not at the top: it takes a second, and `--help` does without.
    from .dataset import make_dataset
    from .recording import Recording

    started = time.monotonic()
    width, height = arguments.image_size
    recording = Recording(arguments.seed, arguments.keyframes, width, height)
    if make_dataset(arguments.out, arguments.scenes, recording, arguments.workers):
        seconds = time.monotonic() - started
        frames = arguments.scenes * arguments.keyframes
        print(f"{arguments.scenes} scenes, {frames} key frames in {seconds:.0f} s: {arguments.out}")
    else:
        print(f"{arguments.out} is already there, made with the same arguments")
    if arguments.preview is not None:
        from .preview import draw_preview

        for path in draw_preview(arguments.out, arguments.preview):
            print(f"preview: {path}")
