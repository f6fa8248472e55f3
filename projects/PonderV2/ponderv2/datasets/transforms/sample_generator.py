"""Random generators of single samples."""

import hashlib

import numpy as np


def sample_generator(seed: int | None, results: dict) -> np.random.Generator:
    """Make the generator that a transform draws from for one sample.

    Args:
        seed: a number makes the draws depend on it and on the sample alone, so that they are the same at every call;
            None draws the seed from numpy's global generator, which the data loader seeds in each worker.
        results: the sample, known by its `token` or else by its `sample_idx`.
    """
    if seed is None:
        return np.random.default_rng(np.random.randint(2**31))
    # Python's own hash of text differs from process to process.
    name = f"{seed} {results.get('token', results.get('sample_idx', ''))}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name).digest()[:8], "little"))
