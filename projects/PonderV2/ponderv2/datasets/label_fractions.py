"""Fractions of a training set for label-efficient protocols: a share of the frames, of the scenes, or of the points."""

import hashlib
from collections.abc import Sequence

import numpy as np

from ponderv2.errors import UserError
from ponderv2.shapes import Bool

FRACTIONS = (0.01, 0.05, 0.1, 0.2, 0.25, 0.5)
"""The shares that papers report; any other works as well."""


def choose_fraction(frames: list[dict], fraction: float, by: str = "frames", seed: int = 0) -> list[dict]:
    """Choose a share of the key frames; they stay in the order they came in.

    Frames, or scenes, are put into an order by a hash of the seed and their token, and the first ones of it are
    taken. So the choice is the same on every machine, it does not depend on the other frames, and a smaller
    share is contained in every larger one of the same seed.

    Args:
        frames: entries of an info file, with `token`, and for scenes with `scene_token`.
        fraction: share in (0, 1] of the frames or scenes; at least one is taken.
        by: "frames" takes single frames from everywhere; "scenes" takes whole drives, which see less of the world.
        seed: seed of the choice.

    Raises:
        UserError: the fraction is outside (0, 1], `by` is neither word, or frames lack the token that is needed.
    """
    keys = {"frames": "token", "scenes": "scene_token"}
    check_fraction(fraction, by, tuple(keys))
    if fraction == 1:
        return list(frames)
    key = keys[by]
    without = [frame.get("token", frame.get("sample_idx")) for frame in frames if not frame.get(key)]
    if without:
        raise UserError(
            f"a fraction by {by} needs the key {key!r}, which {len(without)} of {len(frames)} key frames lack, first "
            f"{without[0]}; make the info file with tools/create_data.py"
        )
    units = sorted({frame[key] for frame in frames}, key=lambda token: _place(token, seed))
    chosen = set(units[: max(1, round(fraction * len(units)))])
    return [frame for frame in frames if frame[key] in chosen]


def choose_points(labeled: Bool[np.ndarray, "p"], fraction: float, token: str, seed: int = 0) -> Bool[np.ndarray, "p"]:
    """Choose a share of the labeled points of a frame, spread at random: weak labels.

    Points are put into an order by a hash of the seed, the frame's token and their place in the file. So the choice is
    the same in every epoch and on every machine, and a smaller share is contained in every larger one of the same seed.

    Args:
        labeled: whether each point of the frame's file has a label.
        fraction: share in (0, 1] of them that is chosen; at least one is, if there is any.
        token: token of the frame.
        seed: seed of the choice.

    Raises:
        UserError: the fraction is outside (0, 1].
    """
    check_fraction(fraction, "points", ("points",))
    places = np.flatnonzero(labeled)
    key = np.uint64(int.from_bytes(_place(token, seed)[:8], "little"))
    order = np.argsort(_mixed(places.astype(np.uint64) ^ key), kind="stable")
    chosen = np.zeros(len(labeled), dtype=bool)
    chosen[places[order[: max(1, round(fraction * len(places)))]]] = True
    return chosen


def check_fraction(fraction: float, by: str, units: Sequence[str]) -> None:
    """Check a share and its unit.

    Raises:
        UserError: the fraction is outside (0, 1], or `by` is none of the units.
    """
    if not 0 < fraction <= 1:
        raise UserError(f"fraction: expected a share in (0, 1], got {fraction}")
    if by not in units:
        named = ", ".join(map(repr, units[:-1])) + f" or {units[-1]!r}"
        raise UserError(f"fraction_by: expected {named}, got {by!r}")


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Hash 64-bit numbers one by one (the finalizer of SplitMix64); overflow is meant."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _place(token: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {token}".encode()).digest()
