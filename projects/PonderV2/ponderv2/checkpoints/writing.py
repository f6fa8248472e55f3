"""Weights go to disk whole: with a hash, and under their name only when everything is written."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ponderv2.atomic_files import replacing


def write_checkpoint(path: Path, weights: Mapping[str, Tensor], meta: Mapping[str, object]) -> None:
    """Write weights as a checkpoint, replacing `path` in one step; `meta` gets their hash as `sha256`."""
    with replacing(path) as unfinished:
        torch.save({"meta": {**meta, "sha256": weights_hash(weights)}, "state_dict": dict(weights)}, unfinished)


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes, in the order of names; hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].contiguous()
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        # Byte views work for every dtype, bfloat16 included, which numpy does not know.
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
