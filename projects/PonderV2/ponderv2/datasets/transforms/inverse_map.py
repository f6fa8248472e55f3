"""The inverse map: it leads from every point of the key frame's file to the row of `points` that predicts it.

It is carried along while points are left out, as rows by original point (`inverse_map`, -1 where the row is gone), and
completed at the end, so that every original point has a prediction.
"""

import numpy as np
import torch
from mmdet3d.structures import BasePoints
from scipy.spatial import cKDTree

from ponderv2.errors import UserError
from ponderv2.shapes import Float, Int


def begin_inverse_map(results: dict) -> None:
    """Begin with the points as they were loaded: `LoadLidarSweeps` has said which row each original point has."""
    rows = results["key_frame_rows"]
    original = np.full((len(rows), 3), np.nan)
    original[rows >= 0] = results["points"].tensor[rows[rows >= 0], :3].numpy()
    results["inverse_map"] = rows.copy()
    results["original_points"] = original
    results["inverse_map_rows"] = len(results["points"])


def keep_points(results: dict, kept: Int[np.ndarray, "k"], stands_for: Int[np.ndarray, "p"]) -> None:
    """Keep some rows of `points` and of their labels, and let the inverse map lead to them.

    Args:
        results: sample, which is changed.
        kept: rows that are kept, in their new order.
        stands_for: for each of the former rows the new row that stands for it, or -1.

    Raises:
        UserError: no point is left.
    """
    if not len(kept):
        raise UserError(f"{results.get('info_name', 'sample')}: none of {len(stands_for)} points is left")
    points: BasePoints = results["points"]
    results["points"] = points[torch.from_numpy(kept)]
    results.pop("key_frame_rows", None)
    if "pts_semantic_mask" in results:
        results["pts_semantic_mask"] = results["pts_semantic_mask"][kept]
    if "inverse_map" in results:
        _check(results, len(points))
        rows = results["inverse_map"]
        results["inverse_map"] = np.where(rows >= 0, stands_for[rows], -1)
        results["inverse_map_rows"] = len(kept)


def complete_inverse_map(results: dict) -> Int[np.ndarray, "n"]:
    """Return the inverse map without gaps.

    An original point whose row was left out, as one beyond the range, takes the row that is nearest in space. One that
    is not finite takes that of the nearest finite point in the order of the file.

    Returns:
        A row of `points` for each point of the key frame's file.

    Raises:
        ValueError: a transform has changed the number of points without keeping the map.
    """
    points = results["points"].tensor
    _check(results, len(points))
    rows, original = results["inverse_map"], results["original_points"]
    known = np.isfinite(original).all(axis=1)
    gone = (rows < 0) & known
    rows = rows.copy()
    if gone.any():
        rows[gone] = cKDTree(points[:, :3].numpy()).query(_augmented(original[gone], results["lidar_aug"]))[1]
    if not known.all():
        rows[~known] = rows[_nearest_place(np.flatnonzero(known), np.flatnonzero(~known))]
    return rows


def _augmented(points: Float[np.ndarray, "n 3"], lidar_aug: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "n 3"]:
    return points @ lidar_aug[:3, :3].T + lidar_aug[:3, 3]


def _nearest_place(known: Int[np.ndarray, "n"], asked: Int[np.ndarray, "m"]) -> Int[np.ndarray, "m"]:
    """Return the nearest of some sorted places for each asked one, the earlier of two that are as near."""
    after = np.searchsorted(known, asked).clip(max=len(known) - 1)
    before = (after - 1).clip(min=0)
    return np.where(np.abs(known[before] - asked) <= np.abs(known[after] - asked), known[before], known[after])


def _check(results: dict, count: int) -> None:
    if results["inverse_map_rows"] != count:
        raise ValueError(
            f"{results.get('info_name', 'sample')}: the inverse map leads to {results['inverse_map_rows']} points and "
            f"there are {count}; a transform that adds or leaves out points does not keep it"
        )
