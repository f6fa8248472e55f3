"""The teacher's part of two epochs: features that are computed and kept, against features that are read."""

import argparse
import tempfile
import time

import torch

from ponderv2.teachers import FrozenImageBranch, VisionTransformerTeacher

from .measure import surroundings


def run(args: argparse.Namespace) -> dict:
    """Measure both epochs and print them.

    The teacher is a DINOv2 with random weights; the pictures are random as well.

    Returns:
        Seconds a frame of the `first` and the `second` epoch, their `ratio`, bytes of a frame, machine and versions.
    """
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    sizes = dict(hidden_size=args.width, num_attention_heads=args.heads, num_hidden_layers=args.layers)
    with tempfile.TemporaryDirectory() as scratch:
        Dinov2Model(Dinov2Config(**sizes, image_size=518, patch_size=14)).save_pretrained(f"{scratch}/teacher")
        branch = FrozenImageBranch(
            dict(type=VisionTransformerTeacher, name=f"{scratch}/teacher", stride=args.stride),
            channels=args.channels,
            cache=dict(folder=f"{scratch}/cache", limit=4.0),
        )
        frames = torch.rand(args.frames, 1, args.cameras, 3, *args.size)
        branch.fit_reduction(frames[0, 0])
        seconds = []
        for _ in range(2):
            begun = time.process_time()
            for number, frame in enumerate(frames):
                branch(frame, [f"frame{number}"])
            seconds.append((time.process_time() - begun) / len(frames))
        size = sum(path.stat().st_size for path in branch.cache.folder.glob("*/*.npz")) / len(frames)
    first, second = seconds
    print(f"{args.cameras} pictures of {args.size[0]}x{args.size[1]}, stride {args.stride}: processor seconds a frame")
    print(f"first epoch {first:.4f}, second {second:.4f}, ratio {first / second:.0f}; {size / 1e6:.2f} MB a frame")
    return {"first": first, "second": second, "ratio": first / second, "bytes": size, **surroundings("cpu")}
