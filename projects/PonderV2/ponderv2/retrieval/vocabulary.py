"""Words of features for VLAD: the centers of clusters, fitted once and kept in a file."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ponderv2.atomic_files import replacing
from ponderv2.errors import UserError
from ponderv2.shapes import Float

from .place_index import faiss_module

FORMAT = "ponderv2.place_vocabulary.v1"


def fit_vocabulary(features: Float[Tensor, "p c"], words: int, seed: int = 0) -> Float[Tensor, "k c"]:
    """Cluster features of unit length by k-means.

    Raises:
        UserError: there are fewer features than words.
    """
    if len(features) < words:
        raise UserError(f"--words {words}: there are only {len(features)} features to cluster")
    rows = np.ascontiguousarray(features.cpu().numpy(), np.float32)
    means = faiss_module().Kmeans(rows.shape[1], words, niter=20, seed=seed, min_points_per_centroid=1)
    means.train(rows)
    return torch.from_numpy(np.array(means.centroids))


def save_vocabulary(path: Path, words: Float[Tensor, "k c"]) -> None:
    """Write words, `.safetensors`."""
    with replacing(path) as unfinished:
        save_file({"words": words.contiguous()}, unfinished, metadata={"format": FORMAT})


def load_vocabulary(path: Path) -> Float[Tensor, "k c"]:
    """Read words.

    Raises:
        UserError: the file is damaged or holds something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            form, names = (file.metadata() or {}).get("format"), list(file.keys())
            words = file.get_tensor("words") if names == ["words"] else None
    except (SafetensorError, OSError) as error:
        raise UserError(f"--vocabulary {path}: no whole safetensors file ({error})") from error
    if form != FORMAT or words is None:
        raise UserError(f"--vocabulary {path}: expected words in format {FORMAT}, found format {form}")
    if words.ndim != 2 or not words.numel() or not words.is_floating_point() or not words.isfinite().all():
        raise UserError(
            f"--vocabulary {path}: words: expected finite numbers of shape (words, channels), got {words.dtype} "
            f"{tuple(words.shape)}"
        )
    return words


def fingerprint(words: Float[Tensor, "k c"]) -> str:
    """Return the hash of words, hexadecimal."""
    return hashlib.sha256(words.float().contiguous().numpy().tobytes()).hexdigest()
