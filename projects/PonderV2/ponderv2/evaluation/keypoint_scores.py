"""Whether key points are found again in a neighboring key frame, and whether their descriptors find them."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from scipy.spatial import cKDTree

from ponderv2.errors import UserError
from ponderv2.geometry import points_in_box
from ponderv2.shapes import Bool, Float
from ponderv2.structures import MATCH_RADIUS

from .keypoint_files import SampleKeypoints

LEAST_SPEED = 0.2
"""Speed (m/s) from which an object moves: a match would be off by a fifth of the radius half a second later."""
_MARGIN = 0.3


@dataclass(frozen=True)
class KeypointCounts:
    """What is counted of pairs of key frames; counts of several pairs add up.

    Attributes:
        points: key points of the first frame.
        static: those that are on nothing that moves.
        counted: those of them that the second frame could have: inside its range, with a return of it near.
        found: those of them with a key point of the second frame near.
        matches: those of the counted whose descriptor and one of the second frame are nearest to each other.
        right: those of the matches whose places are near each other.
    """

    points: int = 0
    static: int = 0
    counted: int = 0
    found: int = 0
    matches: int = 0
    right: int = 0

    def __add__(self, other: "KeypointCounts") -> "KeypointCounts":
        """Add the counts."""
        return KeypointCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def scores(self) -> dict[str, float]:
        """Return the shares, 0 to 1, NaN of nothing.

        Returns:
            `repeatability`, found of counted; `repeatability_of_all`, found of static; `seen`, counted of static;
            `matching_accuracy`, right of matches; `matching_score`, right of counted (as the M. score of SuperPoint,
            DeTone et al. 2018, of one direction).
        """
        return {
            "repeatability": _share(self.found, self.counted),
            "repeatability_of_all": _share(self.found, self.static),
            "seen": _share(self.counted, self.static),
            "matching_accuracy": _share(self.right, self.matches),
            "matching_score": _share(self.right, self.counted),
        }


def count_pair(
    first: SampleKeypoints,
    second: SampleKeypoints,
    static: Bool[np.ndarray, "k"],
    returns: Float[np.ndarray, "p 3"],
    radius: float = MATCH_RADIUS,
) -> KeypointCounts:
    """Count which key points of one key frame another one has, by the known motion of the car.

    A point counts if the second frame could have it: its place is inside the range of the second frame, and the second
    sweep has a return within the radius, so that nothing hides it and it is not too far away. Whether the second frame
    has a key point there is then up to its scores alone. As key points are at least twice the radius apart, hardly one
    of the second frame is that of two of the first.

    Args:
        first: key points of the first frame.
        second: key points of the second frame.
        static: which of the first are on nothing that moves.
        returns: returns of the second frame in its LiDAR frame, metres.
        radius: largest distance (m) of what is near.

    Raises:
        UserError: the descriptors of the two have not the same channels.
    """
    channels = first.descriptors.shape[1], second.descriptors.shape[1]
    if channels[0] != channels[1]:
        raise UserError(
            f"key points of {first.token} and {second.token}: expected descriptors of the same channels, got "
            f"{channels[0]} and {channels[1]}"
        )
    motion = np.linalg.solve(second.lidar2global, first.lidar2global)
    moved = first.places.astype(np.float64) @ motion[:3, :3].T + motion[:3, 3]
    low, high = second.point_cloud_range[:3], second.point_cloud_range[3:]
    counted = static & ((moved >= low) & (moved < high)).all(axis=1)
    counted &= _near(moved, returns, radius)
    found = counted & _near(moved, second.places, radius)
    matches = right = 0
    if len(first.places) and len(second.places):
        cosine = first.descriptors @ second.descriptors.T
        best = cosine.argmax(axis=1)
        mutual = counted & (cosine.argmax(axis=0)[best] == np.arange(len(best)))
        apart = np.linalg.norm(moved - second.places[best], axis=1)
        matches, right = int(mutual.sum()), int((mutual & (apart <= radius)).sum())
    numbers = (len(moved), static.sum(), counted.sum(), found.sum(), matches, right)
    return KeypointCounts(*(int(number) for number in numbers))


def on_static(
    places: Float[np.ndarray, "k 3"], boxes: Float[np.ndarray, "n 7"], velocities: Float[np.ndarray, "n 2"]
) -> Bool[np.ndarray, "k"]:
    """Tell which places are in no box that moves; a box whose velocity is not known (NaN) may.

    Args:
        places: metres in the LiDAR frame.
        boxes: (x, y, z, l, w, h, yaw) with gravity centers; places up to 0.3 m outside count as inside.
        velocities: velocities of the boxes, m/s.
    """
    static = np.ones(len(places), dtype=bool)
    moving = ~(np.linalg.norm(velocities, axis=1) < LEAST_SPEED)
    larger = np.array([0, 0, 0, *(2 * _MARGIN,) * 3, 0])
    for box in boxes[moving].astype(np.float64):
        static[points_in_box(places.astype(np.float64), box + larger)] = False
    return static


def total(counts: Iterable[KeypointCounts]) -> KeypointCounts:
    """Add up the counts of pairs."""
    return sum(counts, KeypointCounts())


def _near(places: np.ndarray, others: np.ndarray, radius: float) -> Bool[np.ndarray, "k"]:
    if not len(others) or not len(places):
        return np.zeros(len(places), dtype=bool)
    return cKDTree(others).query(places, distance_upper_bound=np.nextafter(radius, np.inf))[0] <= radius


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
