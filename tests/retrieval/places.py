"""Indices of made-up places for tests."""

import numpy as np

from ponderv2.retrieval import Describer, DescriptorSettings, PlaceIndex, PlaceRecord

SETTINGS = DescriptorSettings(layout="whole")


def random_index(seed: int, count: int = 30, modality: str = "lidar", dimensions: int = 8) -> PlaceIndex:
    """Places on two small maps, in three logs, every ten seconds."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    records = [
        PlaceRecord(
            f"token-{seed}-{k}", f"map-{k % 2}", f"log-{k % 3}", 10.0 * k, *rng.uniform(0, 40, 2).tolist(), f"{k}.bin"
        )
        for k in range(count)
    ]
    return PlaceIndex(vectors, records, modality, Describer(SETTINGS, "0" * 64))
