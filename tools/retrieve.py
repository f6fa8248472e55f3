"""Find the places of an index that look like a query, or score all queries of another index.

python tools/retrieve.py QUERY --index DIR --queries DIR --data-root DIR --out found.png
python tools/retrieve.py --index DIR --queries DIR --evaluate scores.json
python tools/retrieve.py --index DIR --list

QUERY is the token of a key frame of --queries, or of the index itself, as --list prints them; or a file: points (.bin)
or a picture, which --recipe and --checkpoint describe. With --text a sentence takes its place. Key frames of the
query's own pass are left out, those of its log less than 30 s away. In the picture the frame of a place is green within
5 m of the query, orange within 25 m, red elsewhere, and gray where nobody knows.

Exit code: 0 done, 2 the input cannot be used.
"""

import argparse
import sys
from pathlib import Path

from ponderv2.command_line import (
    add_device_argument,
    existing_file,
    existing_folder,
    existing_path,
    positive,
    run_tool,
    writable_file,
)
from ponderv2.command_line.shared_arguments import key_value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    parser.add_argument("query", nargs="?", help="token of a key frame, or a file of points or a picture")
    parser.add_argument("--index", type=existing_folder("index"), required=True, metavar="DIR", help="places to find")
    parser.add_argument("--queries", type=existing_folder("index"), metavar="DIR", help="index of the queries")
    parser.add_argument("--text", metavar="SENTENCE", help="find what a sentence says; needs --text-model")
    parser.add_argument("--text-model", type=existing_folder("folder"), metavar="DIR", help="that of the index")
    parser.add_argument(
        "--projection", type=existing_file("projection"), metavar="FILE", help="of tools/fit_retrieval_projection.py"
    )
    parser.add_argument("--list", action="store_true", help="list the key frames of --queries, or of the index")
    parser.add_argument("--count", type=positive, default=5, help="places to find, default 5")
    parser.add_argument("--out", type=Path, metavar="FILE.png", help="draw the query and what was found")
    parser.add_argument(
        "--data-root", type=existing_folder("folder"), metavar="DIR", help="folder of the data, for pictures and points"
    )
    parser.add_argument(
        "--evaluate",
        type=Path,
        metavar="FILE.json",
        help="print scores of all queries, or of the index, and write this",
    )
    parser.add_argument(
        "--vocabulary", type=existing_file("vocabulary"), metavar="FILE", help="that of the index, for files and vlad"
    )
    parser.add_argument("--recipe", type=existing_file("recipe"), help="recipe of the pre-training, for files")
    parser.add_argument("--checkpoint", type=existing_path("checkpoint"), help="its checkpoint, for files")
    parser.add_argument("--cfg-options", nargs="+", type=key_value, default=[], metavar="KEY=VALUE")
    add_device_argument(parser)


def run(given: argparse.Namespace) -> None:
    """Search or score, and print what came of it."""
    writable_file(given.evaluate, "--evaluate")
    writable_file(given.out, "--out")
    from ponderv2.engine.retrieval_command import evaluate, list_places, retrieve

    work = list_places if given.list else evaluate if given.evaluate is not None else retrieve
    for line in work(given):
        print(line)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
