"""This module holds the command line of tools/make_synthetic_nuscenes.py."""

import argparse
import re
import time
from pathlib import Path

from .dataset import make_dataset
from .recording import Recording
from .synthetic_errors import SyntheticDataError

DEFAULT_IMAGE_SIZE = (800, 450)


def parse_arguments(description: str, arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the arguments of tools/make_synthetic_nuscenes.py; `arguments` stands in for `sys.argv[1:]`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder of the new data set")
    parser.add_argument("--scenes", type=int, default=10, help="default %(default)s; up to 10 make a v1.0-mini")
    parser.add_argument("--keyframes", type=int, default=8, help="per scene, two a second; default %(default)s")
    parser.add_argument(
        "--image-size",
        type=image_size,
        default=DEFAULT_IMAGE_SIZE,
        metavar="WxH",
        help="pixels, default 800x450; nuScenes has 1600x900",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes, a scene each; default %(default)s")
    parser.add_argument(
        "--preview", type=Path, metavar="FILE.png", help="also draw the first scene: images and top view"
    )
    return parser.parse_args(arguments)


def image_size(text: str) -> tuple[int, int]:
    """Parse an image size: the text `800x450` gives (800, 450).

    Raises:
        argparse.ArgumentTypeError: for any other form.
    """
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no image size; it looks like 800x450")
    return int(found[1]), int(found[2])


def make(arguments: argparse.Namespace) -> None:
    """Make the data set and print what came of it.

    Raises:
        SystemExit: for arguments that make no data set, with the reason.
    """
    started = time.monotonic()
    try:
        if arguments.workers < 1:
            raise SyntheticDataError(f"workers: got {arguments.workers}, needs at least 1")
        width, height = arguments.image_size
        recording = Recording(arguments.seed, arguments.keyframes, width, height)
        made = make_dataset(arguments.out, arguments.scenes, recording, arguments.workers)
    except (SyntheticDataError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    if made:
        seconds = time.monotonic() - started
        frames = arguments.scenes * arguments.keyframes
        print(f"{arguments.scenes} scenes, {frames} key frames in {seconds:.0f} s: {arguments.out}")
    else:
        print(f"{arguments.out} is already there, made with the same arguments")
    if arguments.preview is not None:
        from .preview import draw_preview

        for path in draw_preview(arguments.out, arguments.preview):
            print(f"preview: {path}")
