"""Export an encoder to mmdet3d's own modules: python tools/export_to_mmdet3d.py encoder.safetensors OUT.pth.

OUT is a plain checkpoint, which any config of mmdet3d loads by init_cfg=dict(type="Pretrained", checkpoint=OUT), with
prefix="img_backbone." and so on for a single module; configs/interop has two such configs.
"""

import argparse
import sys
from pathlib import Path

from ponderv2.command_line import existing_path, run_tool, writable_checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    parser.add_argument(
        "encoder",
        type=existing_path("encoder"),
        help="encoder.safetensors, of tools/export_encoder.py or of a pre-training, or the work dir of that",
    )
    parser.add_argument("out", type=Path, help="checkpoint to write, .pth")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT where it is there already")


def run(given: argparse.Namespace) -> None:
    """Export the encoder."""
    encoder = given.encoder / "encoder.safetensors" if given.encoder.is_dir() else given.encoder
    writable_checkpoint(given.out, "OUT", [encoder], given.overwrite)
    from ponderv2.checkpoints import write_stock_checkpoint

    stock = write_stock_checkpoint(encoder, given.out)
    for part, module in stock.modules.items():
        count = sum(name.startswith(f"{part}.") for name in stock.weights)
        print(f'{count} tensors for {module}: prefix="{part}."')
    for part, reason in stock.left_out.items():
        print(f"left out: {part}, {reason}")
    print(f"written to {given.out}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
