"""Generators of samples: by seed and name alone, or by the generator that the data loader seeds."""

import hashlib

import numpy as np

from ponderv2.datasets.transforms.sample_generator import sample_generator


def test_a_seed_gives_the_same_draws_in_another_process():
    # Python's own hash of text differs from process to process; the draws must not.
    digest = int.from_bytes(hashlib.sha256(b"3 abc").digest()[:8], "little")
    expected = np.random.default_rng(digest).integers(2**60)
    assert sample_generator(3, {"token": "abc"}).integers(2**60) == expected


def test_a_sample_without_a_token_is_known_by_its_index():
    first, again, other = (sample_generator(3, {"sample_idx": k}).integers(2**60) for k in (4, 4, 5))
    assert first == again != other


def test_without_a_seed_numpy_s_global_generator_decides():
    draws = []
    for _ in range(2):
        np.random.seed(5)
        draws.append([sample_generator(None, {"token": "abc"}).integers(2**60) for _ in range(2)])
    assert draws[0] == draws[1]
    assert draws[0][0] != draws[0][1]
