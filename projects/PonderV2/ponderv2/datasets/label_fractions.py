"""Fractions of a training set for label-efficient protocols: a share of the frames, or of the scenes."""

import hashlib

from ponderv2.errors import UserError

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
    if not 0 < fraction <= 1:
        raise UserError(f"fraction: expected a share in (0, 1], got {fraction}")
    keys = {"frames": "token", "scenes": "scene_token"}
    if by not in keys:
        raise UserError(f"fraction_by: expected 'frames' or 'scenes', got {by!r}")
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


def _place(token: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {token}".encode()).digest()
