"""Checks of earlier sweeps: whether `lidar2sensor` brings their points onto the key frame, driving and turning."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial import cKDTree

from ponderv2.geometry import points_in_box
from ponderv2.shapes import Float

from .finding import Finding, Result, best_reading, spelled
from .sampled_frame import SampledFrame, as_matrix, read_points, transformed

Reading = Callable[[np.ndarray, np.ndarray], np.ndarray]

DOCUMENTED = "inverse of lidar2sensor"
PUBLISHED = "mmdet3d's p @ R - t"
READINGS: dict[str, Reading] = {
    DOCUMENTED: lambda matrix, points: transformed(np.linalg.inv(matrix), points),
    "lidar2sensor as it is": transformed,
    "no alignment": lambda matrix, points: points,
    PUBLISHED: lambda matrix, points: points @ matrix[:3, :3] - matrix[:3, 3],
}
"""Readings of `lidar2sensor`: how each brings points of a sweep into the key frame."""

TELLING = 0.15
"""Distance in metres that two readings must put points apart before these can tell: about the spacing of returns."""

POINTS = 6000
"""Number of points of a sweep that are looked at, about."""

CLEARLY = 1.05
"""Factor by which the residuals of the other readings must be larger."""

MAX_LAG = 5.0
"""Largest age of a sweep in seconds: ten of nuScenes take half a second, and other settings may skip some."""

MAX_RESIDUAL = 0.75
"""Largest residual in metres: static points of a sweep in place are about the spacing of returns from the next one."""


def check_sweeps(frames: Sequence[SampledFrame]) -> list[Finding]:
    """Check the times and poses of earlier sweeps, and how they fit the key frame, driving and turning."""
    driving = _Residuals(_widest_apart(frames, "no alignment"))
    turning = _Residuals(_widest_apart(frames, PUBLISHED))
    return [_times(frames), _poses(frames), _direction(driving), _turning(turning)]


def sweep_matrix(frame: SampledFrame, index: int) -> Float[np.ndarray, "4 4"] | None:
    """Return `lidar2sensor` of a sweep; None where the file does not have it."""
    value = frame.sweeps[index]["lidar_points"].get("lidar2sensor")
    return None if value is None else as_matrix(value, 4, f"{frame.name}: lidar_sweeps.{index}.lidar2sensor")


def readings_apart(matrix: Float[np.ndarray, "4 4"], reading: str) -> float:
    """Compute the mean distance, metres, between points 15 m away under a reading and under the documented one."""
    angles = np.arange(8) * np.pi / 4
    points = 15 * np.stack([np.cos(angles), np.sin(angles), np.zeros(8)], axis=1)
    difference = READINGS[reading](matrix, points) - READINGS[DOCUMENTED](matrix, points)
    return float(np.linalg.norm(difference, axis=1).mean())


def _widest_apart(frames: Sequence[SampledFrame], reading: str, count: int = 4) -> list[tuple[SampledFrame, int]]:
    """Choose the frames, and a sweep of each, where a reading differs most from the documented one."""
    found = []
    for frame in frames:
        matrices = [(k, sweep_matrix(frame, k)) for k in range(len(frame.sweeps))]
        apart = [(readings_apart(matrix, reading), k) for k, matrix in matrices if matrix is not None]
        if apart:
            found.append((*max(apart), frame))
    found.sort(key=lambda item: -item[0])
    return [(frame, k) for _, k, frame in found[:count]]


class _Residuals:
    """The median distances in metres of static points of sweeps to the key frame's points, under every reading."""

    def __init__(self, chosen: Sequence[tuple[SampledFrame, int]]) -> None:
        self.problem = None if chosen else "no earlier sweeps with a lidar2sensor"
        self.apart = dict.fromkeys(READINGS, 0.0)
        residuals = {reading: [] for reading in READINGS}
        for frame, index in chosen:
            matrix = sweep_matrix(frame, index)
            try:
                points = _static_points(read_points(frame.sweep_file(frame.sweeps[index]))[:, :3], matrix, frame)
                tree = cKDTree(frame.points[:, :3])
            except (FileNotFoundError, ValueError) as error:
                self.problem = str(error)
                return
            for reading, read in READINGS.items():
                self.apart[reading] = max(self.apart[reading], readings_apart(matrix, reading))
                residuals[reading].append(tree.query(read(matrix, points), distance_upper_bound=2.0)[0].clip(max=2.0))
        if not self.problem and not any(map(len, residuals[DOCUMENTED])):
            self.problem = "no static points between 4 and 40 m, off the ground"
        if not self.problem:
            self.errors = {reading: float(np.median(np.concatenate(parts))) for reading, parts in residuals.items()}


def _static_points(
    points: Float[np.ndarray, "p 3"], matrix: Float[np.ndarray, "4 4"], frame: SampledFrame
) -> Float[np.ndarray, "q 3"]:
    """Choose points that stand still and tell: outside of all boxes, and off the ground, which hides shifts."""
    distance = np.hypot(points[:, 0], points[:, 1])
    ground = np.percentile(points[(distance > 4) & (distance < 20), 2], 20) if len(points) else 0.0
    points = points[(distance > 4) & (distance < 40) & (points[:, 2] > ground + 0.5)]
    outside = np.ones(len(points), dtype=bool)
    # Whichever way the matrix is meant, a sweep is less than a box and a bit away from its key frame.
    for box in frame.boxes:
        outside[points_in_box(points, box + np.array([0, 0, 0, 6.0, 6.0, 2.0, 0]))] = False
    points = points[outside]
    return points[:: max(1, len(points) // POINTS)]


def _times(frames: Sequence[SampledFrame]) -> Finding:
    name, convention = "sweep times", "seconds, before the key frame, the nearest first"
    lags = [[frame.info["timestamp"] - sweep["timestamp"] for sweep in frame.sweeps] for frame in frames]
    flat = [lag for frame_lags in lags for lag in frame_lags]
    if not flat:
        return Finding(name, convention, Result.UNVERIFIABLE, "no earlier sweeps")
    evidence = f"{len(flat)} sweeps, {min(flat):.3g} to {max(flat):.3g} s before their key frame"
    in_order = all(frame_lags == sorted(frame_lags) for frame_lags in lags)
    if not in_order:
        return Finding(name, convention, Result.FAIL, f"not in the order of time; {evidence}")
    if min(flat) > 0 and max(flat) < MAX_LAG:
        return Finding(name, convention, Result.PASS, evidence)
    return Finding(name, convention, Result.FAIL, f"not seconds, or not of the time before; {evidence}")


def _poses(frames: Sequence[SampledFrame]) -> Finding:
    name, convention = "sweep matrix and poses", "lidar2sensor: key-frame LiDAR → global → sweep LiDAR"
    errors = dict.fromkeys(("as documented", "lidar2sensor inverted", "made for p @ R - t"), 0.0)
    count = 0
    for frame in frames:
        ego2global, lidar2ego = frame.matrix("ego2global"), frame.matrix("lidar_points", "lidar2ego")
        for k in range(len(frame.sweeps)):
            matrix, pose = sweep_matrix(frame, k), frame.matrix("lidar_sweeps", k, "ego2global")
            mount = frame.matrix("lidar_sweeps", k, "lidar_points", "lidar2ego")
            if any(m is None for m in (matrix, pose, mount, ego2global, lidar2ego)):
                continue
            count += 1
            exact = np.linalg.inv(pose @ mount) @ ego2global @ lidar2ego
            published = exact.copy()
            published[:3, 3] = exact[:3, :3].T @ exact[:3, 3]
            for reading, expected in zip(errors, (exact, np.linalg.inv(exact), published), strict=True):
                difference = (matrix - expected)[:3] @ np.array([15.0, 15.0, 0.0, 1.0])
                errors[reading] = max(errors[reading], float(np.linalg.norm(difference)))
    if not count:
        return Finding(name, convention, Result.UNVERIFIABLE, "no sweeps with ego2global, lidar2ego and lidar2sensor")
    evidence = f"points 21 m away are off by at most: {spelled(errors, ' m')} ({count} sweeps)"
    if errors["as documented"] < 0.02:
        return Finding(name, convention, Result.PASS, evidence)
    best = best_reading(errors)
    cause = best if best != "as documented" and errors[best] < 0.02 else "lidar2sensor does not follow from the poses"
    return Finding(name, convention, Result.FAIL, f"{cause}; {evidence}")


def _direction(residuals: _Residuals) -> Finding:
    readings = (DOCUMENTED, "lidar2sensor as it is", "no alignment")
    return _decide("sweeps while driving", "p_key = inverse(lidar2sensor) p_sweep", residuals, readings)


def _turning(residuals: _Residuals) -> Finding:
    return _decide("sweeps while turning", "R'(p - t), not R'p - t", residuals, (DOCUMENTED, PUBLISHED))


def _decide(name: str, convention: str, residuals: _Residuals, readings: tuple[str, ...]) -> Finding:
    if residuals.problem:
        return Finding(name, convention, Result.UNVERIFIABLE, residuals.problem)
    apart = {reading: residuals.apart[reading] for reading in readings[1:]}
    telling = [reading for reading in readings[1:] if apart[reading] > TELLING]
    if not telling:
        reason = f"the car hardly moves: other readings put points {spelled(apart, ' m')} away; {TELLING} m are needed"
        return Finding(name, convention, Result.UNVERIFIABLE, reason)
    errors = {reading: residuals.errors[reading] for reading in (DOCUMENTED, *telling)}
    evidence = f"median distance to the key frame's points: {spelled(errors, ' m')}"
    best = best_reading(residuals.errors)
    if residuals.errors[best] > MAX_RESIDUAL:
        return Finding(
            name, convention, Result.FAIL, f"no reading of lidar2sensor brings sweeps into place; {evidence}"
        )
    if best == DOCUMENTED:
        decided = min(errors[reading] for reading in telling) > CLEARLY * errors[DOCUMENTED]
        return Finding(name, convention, Result.PASS if decided else Result.UNVERIFIABLE, evidence)
    # Beside a car that hardly moves, chance decides which reading is the nearest by a hair.
    if best in readings and errors[DOCUMENTED] > CLEARLY * residuals.errors[best]:
        return Finding(name, convention, Result.FAIL, f"sweeps fit when moved by {best}; {evidence}")
    return Finding(name, convention, Result.UNVERIFIABLE, f"sweeps fit when moved by {best}; {evidence}")
