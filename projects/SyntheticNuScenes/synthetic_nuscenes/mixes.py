"""This module draws from mixes: names with their shares."""

import numpy as np

Mix = tuple[tuple[str, float], ...]
"""Names with their shares, which need not sum to one."""


def pick(rng: np.random.Generator, mix: Mix) -> str:
    """Draw a name, each as often as its share says."""
    names, shares = zip(*mix)
    return str(rng.choice(names, p=np.array(shares) / sum(shares)))
