"""Score encoders by a linear classifier that recognises objects from single cells of their volumes.

python tools/linear_probe.py RECIPE --data-root DIR --encoders scratch WORK/encoder.safetensors

RECIPE is the recipe of a detector. The classifier is fitted to its training frames and scored on its validation frames;
no encoder is trained, so it takes about a minute. It does not replace tools/transfer_study.py: a detector also uses
neighbouring cells and trains the encoder, which this score leaves out. Segmentors have linear probes of their own:
configs/*/lidarseg_*_linear_probe.py, which tools/train.py trains and tools/segmentation_study.py compares.

Exit code: 0 done, 2 the input cannot be used.
"""

import argparse
import sys
from pathlib import Path

# Studies lie beside the package, not in it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ponderv2.command_line import run_tool, writable_file
from studies.arguments import add_probe_arguments as add_arguments


def run(given: argparse.Namespace) -> None:
    """Probe the encoders."""
    writable_file(given.json, "--json")
    from studies.linear_probe import run_probe

    run_probe(given)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
