"""Weights go to disk whole: with a hash, and under their name only when everything is written."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the block a file to write, which takes the place of `path` in one step, or is gone when the block fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own, so that two writers never share a file.
    part = path.with_suffix(f"{path.suffix}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_checkpoint(path: Path, weights: Mapping[str, Tensor], meta: Mapping[str, object]) -> None:
    """Write weights as a checkpoint, replacing `path` in one step; `meta` gets their hash as `sha256`."""
    with replacing(path) as part:
        torch.save({"meta": {**meta, "sha256": weights_hash(weights)}, "state_dict": dict(weights)}, part)


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes, in the order of names; hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].contiguous()
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        # Byte views work for every dtype, bfloat16 included, which numpy does not know.
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
