"""This module counts where the objects of each class are around the car, and how alike drives are in that."""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

BEARINGS = 12
"""Sectors of 30 degrees, counter-clockwise; the middle of the first is straight ahead."""
RANGES = (0.0, 10.0, 20.0, 30.0, 40.0, 50.0)
"""Limits (m) of the rings around the origin of the car's frame."""
RINGS = len(RANGES) - 1
_DRAWS = 200


def cell_areas() -> Float[ndarray, "ring"]:
    """Return the area (m²) of a cell of each ring."""
    return np.pi * np.diff(np.square(RANGES)) / BEARINGS


def cell_counts(
    places: Float[ndarray, "n 2"], labels: Int[ndarray, "n"], drives: Int[ndarray, "n"], classes: int, number: int
) -> Int[ndarray, "class drive ring bearing"]:
    """Count the boxes of each class in each cell, drive by drive; boxes beyond the last ring do not count.

    Args:
        places: x (ahead) and y (left) of the middle of each box in the car's frame, metres.
        labels: class of each box.
        drives: number of the drive that each box is of.
        classes: number of classes.
        number: number of drives.
    """
    ring = np.searchsorted(RANGES, np.linalg.norm(places, axis=1), side="right") - 1
    sector = 2 * np.pi / BEARINGS
    bearing = np.floor(np.arctan2(places[:, 1], places[:, 0]) / sector + 0.5).astype(int) % BEARINGS
    near = ring < RINGS
    counts = np.zeros((classes, number, RINGS, BEARINGS), np.int64)
    np.add.at(counts, (labels[near], drives[near], ring[near], bearing[near]), 1)
    return counts


def highest_share(occupied: Bool[ndarray, "drive ring bearing"]) -> tuple[float, tuple[int, int]]:
    """Return the largest share of drives that have a class in one and the same cell, and that cell (ring, bearing)."""
    share = occupied.mean(axis=0)
    ring, bearing = np.unravel_index(share.argmax(), share.shape)
    return float(share.max()), (int(ring), int(bearing))


def even_share(occupied: Bool[ndarray, "drive ring bearing"], seed: int = 0) -> float:
    """Return what `highest_share` comes to when bearings are even.

    Every drive keeps the number of cells that have the class in each ring, at bearings that are drawn anew; the result
    is the mean over 200 draws.

    Args:
        occupied: which cells have the class in each drive.
        seed: seed of the draws.
    """
    rng = np.random.default_rng(seed)
    return float(np.mean([rng.permuted(occupied, axis=2).mean(axis=0).max() for _ in range(_DRAWS)]))


def standing_cells(
    points: Float[ndarray, "n 3"], reach: float = 40.0, cell: float = 2.0
) -> Bool[ndarray, "rows columns"]:
    """Return which cells of a square around the car hold a point.

    Args:
        points: points in the car's frame, metres; those of the ground left out.
        reach: half the side of the square, metres.
        cell: side of a cell, metres.
    """
    size = round(2 * reach / cell)
    cells = np.floor((points[:, :2] + reach) / cell).astype(int)
    inside = ((cells >= 0) & (cells < size)).all(axis=1)
    found = np.zeros((size, size), bool)
    found[cells[inside, 1], cells[inside, 0]] = True
    return found


def overlaps(drives: Bool[ndarray, "drive rows columns"]) -> Float[ndarray, "drive drive"]:
    """Return the overlap of the cells of each two drives, intersection over union; 1 on the diagonal."""
    cells = drives.reshape(len(drives), -1).astype(np.float64)
    both = cells @ cells.T
    alone = cells.sum(axis=1)
    return both / np.maximum(alone[:, None] + alone[None] - both, 1)
