"""What `make demo` came to, in plain words: python -m studies.demo_summary WORK_DIR."""

import argparse
import json
import sys
import textwrap
from pathlib import Path

from ponderv2.command_line import existing_folder, run_tool
from ponderv2.errors import UserError

from .arguments import SCRATCH

RENDERING = Path("render/metrics.json")
PROBE = Path("probe.json")
DETECTION = Path("detection/test/metrics_summary.json")
CONSTANT = Path("constant.json")

PICTURES = ("render/panel_*.png", "boxes/boxes_*.png")


def summarize(work_dir: Path) -> str:
    """Describe the results in a folder, each number beside what is reached without any knowledge.

    Args:
        work_dir: folder that `make demo` has filled. It has the numbers of the rendering; those of the linear probe
            and of the detector are described where they are there.

    Returns:
        Lines of text.

    Raises:
        FileNotFoundError: the numbers of the rendering are missing.
        UserError: the numbers of the probe are not those of two encoders, one of them random.
    """
    parts = ["What the demo came to, measured on what was not trained on:"]
    parts += _rendering(json.loads((work_dir / RENDERING).read_text()))
    if (work_dir / PROBE).is_file():
        parts.append(_probe(json.loads((work_dir / PROBE).read_text())))
    if (work_dir / DETECTION).is_file():
        constant = work_dir / CONSTANT
        constant = json.loads(constant.read_text()) if constant.is_file() else None
        parts.append(_detection(json.loads((work_dir / DETECTION).read_text()), constant))
    pictures = [f"  {path}" for pattern in PICTURES for path in sorted(work_dir.glob(pattern))]
    return "\n\n".join([*parts, "\n".join(["Pictures", *pictures])])


def _rendering(metrics: dict[str, float]) -> list[str]:
    depth = (
        f"It is off by {metrics['abs_rel']:.1%} of the distance. Guessing the median depth each time is off by "
        f"{metrics['guess_abs_rel']:.1%}."
    )
    parts = [_paragraph("Depth", depth)]
    if "psnr" in metrics:
        color = (
            f"It has a PSNR of {metrics['psnr']:.1f} dB; higher is better, 6 dB halve the error. Painting everything "
            f"in the mean colour has {metrics['guess_psnr']:.1f} dB."
        )
        parts.append(_paragraph("Colour", color))
    return parts


def _probe(results: list[dict]) -> str:
    random = [result for result in results if result["encoder"] == SCRATCH]
    pretrained = [result for result in results if result["encoder"] != SCRATCH]
    if len(random) != 1 or len(pretrained) != 1:
        raise UserError(
            f"{PROBE}: expected the encoder {SCRATCH!r} and a pre-trained one, got {[r['encoder'] for r in results]}"
        )
    return _paragraph(
        "Probe",
        "From the features of the pre-trained encoder, which has seen no label, a linear classifier tells cells in "
        f"objects from others with an area under the ROC curve of {pretrained[0]['val']:.3f}. A random encoder gives "
        f"{random[0]['val']:.3f}, a coin 0.5.",
    )


def _detection(summary: dict, constant: dict | None) -> str:
    blind = ""
    if constant is not None:
        blind = (
            f"Boxes that were fitted to the labels, the same in every frame and without any picture, have "
            f"{constant['mAP'] * 100:.1f} mAP and {constant['NDS'] * 100:.1f} NDS. "
        )
    return _paragraph(
        "Boxes",
        f"A new head on the pre-trained encoder has {summary['mean_ap'] * 100:.1f} mAP and "
        f"{summary['nd_score'] * 100:.1f} NDS by nuScenes' devkit, with {sum(summary['truth'].values())} boxes to "
        f"find. {blind}After so few steps on so few scenes the number says nothing of pre-training; detectors with and "
        "without it are compared by tools/transfer_study.py.",
    )


def _paragraph(title: str, text: str) -> str:
    return textwrap.fill(
        text, width=100, initial_indent=f"{title:8}", subsequent_indent=" " * 8, break_on_hyphens=False
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `python -m studies.demo_summary`."""
    parser.add_argument("work_dir", type=existing_folder("work dir"), help="folder that `make demo` has filled")


def run(given: argparse.Namespace) -> None:
    """Print the summary."""
    print(f"\n{summarize(given.work_dir)}\n")


if __name__ == "__main__":
    sys.exit(run_tool(__doc__, add_arguments, run))
