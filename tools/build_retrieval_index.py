"""Describe the places of a data set by LiDAR or by pictures, and write them as an index.

python tools/build_retrieval_index.py RECIPE CHECKPOINT --data-root DIR --modality lidar --out DIR

RECIPE is the recipe of a pre-training and CHECKPOINT its checkpoint, its work dir, or its exported encoder, which
describes places by LiDAR alone. The index is `places.faiss` with `places.json`; tools/retrieve.py searches it. With
--keypoints no model is needed: places are described by the key points of the files in that folder. With --channels
height no checkpoint is needed or read: of the recipe it takes the grid.

Exit code: 0 done, 2 the input cannot be used.
"""

import argparse
import sys
from pathlib import Path

from ponderv2.command_line import (
    add_device_argument,
    add_recipe_arguments,
    existing_folder,
    existing_path,
    output_folder,
    positive,
    positive_number,
    run_tool,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    add_recipe_arguments(parser)
    parser.add_argument(
        "checkpoint", nargs="?", type=existing_path("checkpoint"), help="checkpoint, work dir or encoder.safetensors"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the index")
    parser.add_argument("--modality", choices=("lidar", "image"), default="lidar", help="default %(default)s")
    parser.add_argument(
        "--info-files",
        nargs="+",
        default=[],
        metavar="NAME",
        help="info files in the data folder; default that of the recipe's test loader",
    )
    parser.add_argument(
        "--channels",
        choices=("image", "volume", "text", "height"),
        help="features that are pooled: those of images, the volume's own, those of --text-model, or the heights of "
        "cells with points, which need no checkpoint; default image where the checkpoint has them, else volume",
    )
    parser.add_argument(
        "--text-model", type=existing_folder("folder"), metavar="DIR", help="CLIP or SigLIP model, the teacher's own"
    )
    parser.add_argument(
        "--keypoints", type=existing_folder("folder"), metavar="DIR", help="pool the key points of these npz files"
    )
    parser.add_argument(
        "--layout",
        choices=("whole", "polar", "panorama", "vlad"),
        default="polar",
        help="cells in which features are pooled, default %(default)s, which pictures cannot have: they know no "
        "distances; panorama is of LiDAR and of pictures alike",
    )
    parser.add_argument("--power", type=positive_number, default=3.0, help="of the generalized mean, default 3")
    parser.add_argument(
        "--heading", choices=("car", "any"), default="car", help="any: passes in other directions as well; tells less"
    )
    parser.add_argument("--words", type=positive, default=32, help="vlad: words of a new vocabulary, default 32")
    parser.add_argument(
        "--vocabulary",
        type=Path,
        metavar="FILE",
        help="vlad: .safetensors; fitted and written if it is not there",
    )
    add_device_argument(parser)


def run(given: argparse.Namespace) -> None:
    """Describe, and write the index."""
    with output_folder(given.out, "--out"):
        from ponderv2.engine.build_index import build_index

        index = build_index(given)
    print(f"{len(index.records)} places, {index.vectors.shape[1]} numbers each: {given.out}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
