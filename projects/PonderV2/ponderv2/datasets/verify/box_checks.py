"""Checks of boxes: against the LiDAR points in them, the usual shapes of vehicles, and the way they drive.

The points of a box tell its footprint: under one of eight readings (yaw as it is or negated, length first or width
first, centre at gravity or at the bottom) the boxes hold the annotated numbers of points. Points cannot tell front from
back, nor a swap of length and width from a quarter turn; the shapes of vehicles and their velocities can.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

from ponderv2.geometry import points_in_box
from ponderv2.shapes import Float

from .finding import Finding, Result, best_reading, spelled
from .sampled_frame import SampledFrame

VEHICLES = ("car", "truck", "bus", "trailer", "bicycle", "motorcycle")
"""Classes that are longer than wide and drive forwards. Of construction vehicles neither is certain."""

MIN_VEHICLES = 5
"""Number of vehicles that a check of shapes or headings needs."""

MIN_POINTS = 30
"""Number of annotated points that must tell two readings apart before one of them is believed."""

MAX_MISCOUNT = 0.25
"""Share of the annotated points that may be miscounted; the real key frame has 0.03, its next best reading 0.06."""

MIN_SPEED = 1.0
"""Speed in metres a second of boxes whose course counts; slower ones may jitter any way."""


def check_boxes(frames: Sequence[SampledFrame]) -> list[Finding]:
    """Check the numbers, size order, yaw, centre height and heading of boxes; those with wrong numbers count once."""
    ratio, vehicles = _length_over_width(frames)
    counts = _PointCounts(frames)
    return [
        _numbers(frames),
        _size_order(ratio, vehicles, counts),
        _yaw(ratio, vehicles, counts),
        _center_height(counts),
        _heading(frames),
    ]


def _numbers(frames: Sequence[SampledFrame]) -> Finding:
    name, convention = "box numbers", "7 or more finite numbers, l, w and h above 0"
    wrong = [(frame, place, what) for frame in frames for place, what in frame.unsound_boxes.items()]
    count = len(wrong) + sum(len(frame.instances) for frame in frames)
    if not count:
        return Finding(name, convention, Result.UNVERIFIABLE, "no boxes")
    if wrong:
        frame, place, what = wrong[0]
        evidence = f"{len(wrong)} of {count} boxes are wrong, first {frame.name}: instances[{place}].bbox_3d {what}"
        return Finding(name, convention, Result.FAIL, evidence)
    return Finding(name, convention, Result.PASS, f"{count} boxes")


def _length_over_width(frames: Sequence[SampledFrame]) -> tuple[float, int]:
    """Compute the median of length / width of vehicles, and count them."""
    ratios = [
        box[3] / max(box[4], 1e-6)
        for frame in frames
        for box, name in zip(frame.boxes, frame.class_names, strict=True)
        if name in VEHICLES
    ]
    return (float(np.median(ratios)) if ratios else 1.0), len(ratios)


class _PointCounts:
    """The numbers of points in the boxes under every reading, `[2 signs, 2 orders, 2 heights, n]`; 0 is documented."""

    def __init__(self, frames: Sequence[SampledFrame]) -> None:
        self.said, counts = [], []
        self.problem = None
        for frame in frames:
            if not (frame.annotated_points >= 0).any():
                continue
            try:
                points = frame.points[:, :3]
            except (FileNotFoundError, ValueError) as error:
                self.problem = str(error)
                continue
            for box, said in zip(frame.boxes, frame.annotated_points, strict=True):
                if said < 0:
                    continue
                self.said.append(said)
                counts.append([len(points_in_box(points, _read(box, *r))) for r in product((0, 1), repeat=3)])
        self.said = np.array(self.said)
        self.counts = np.array(counts).reshape(-1, 2, 2, 2).transpose(1, 2, 3, 0)

    def error(self, sign: int | None = None, order: int | None = None, height: int | None = None) -> float:
        """Compute the miscounted points over the annotated ones, under the best reading with these choices."""
        chosen = tuple(slice(None) if choice is None else slice(choice, choice + 1) for choice in (sign, order, height))
        miscounted = np.abs(self.counts[chosen] - self.said).sum(axis=-1)
        return float(miscounted.min() / max(self.said.sum(), 1))

    def unusable(self, axis: int) -> str | None:
        """Say why the points cannot tell the two choices of an axis apart; None if they can."""
        if self.problem and not len(self.said):
            return self.problem
        if not len(self.said):
            return "no boxes with an annotated number of points"
        first, second = np.moveaxis(self.counts, axis, 0)
        differing = int(np.abs(first - second).sum(axis=-1).max())
        if differing < MIN_POINTS:
            return f"the readings differ by {differing} points in {len(self.said)} boxes; {MIN_POINTS} are needed"
        return None


def _read(box: Float[np.ndarray, "7"], sign: int, order: int, height: int) -> Float[np.ndarray, "7"]:
    """Return a box under another reading of its seven numbers."""
    x, y, z, length, width, tall, yaw = box
    if order:
        length, width = width, length
    return np.array([x, y, z + height * tall / 2, length, width, tall, -yaw if sign else yaw])


def _size_order(ratio: float, vehicles: int, counts: _PointCounts) -> Finding:
    name, convention = "box size order", "length, width, height; length along yaw"
    if vehicles < MIN_VEHICLES:
        return Finding(name, convention, Result.UNVERIFIABLE, f"{vehicles} vehicles; {MIN_VEHICLES} are needed")
    evidence = f"median length / width of {vehicles} vehicles is {ratio:.2f}"
    if 0.8 < ratio < 1.25:
        return Finding(name, convention, Result.UNVERIFIABLE, f"{evidence}, which fits either order")
    if ratio > 1:
        return Finding(name, convention, Result.PASS, evidence)
    errors = {"length first": counts.error(order=0), "width first": counts.error(order=1)}
    return Finding(
        name,
        convention,
        Result.FAIL,
        f"length and width are swapped (w, l, h): {evidence}; miscounted points: {spelled(errors)}",
    )


def _yaw(ratio: float, vehicles: int, counts: _PointCounts) -> Finding:
    name, convention = "box yaw", "counter-clockwise from +x, seen from above"
    reason = counts.unusable(axis=0)
    if reason:
        return Finding(name, convention, Result.UNVERIFIABLE, reason)
    swapped = vehicles >= MIN_VEHICLES and ratio < 1
    errors = {
        "as documented": counts.error(sign=0, order=int(swapped)),
        "yaw negated (clockwise)": counts.error(sign=1, order=int(swapped)),
        "yaw off by a quarter turn": counts.error(sign=0, order=int(not swapped)),
        "yaw clockwise from -y (mmdet3d before 1.0)": counts.error(sign=1, order=int(not swapped)),
    }
    best = best_reading(errors)
    evidence = f"miscounted points of {counts.said.sum()}: {spelled(errors)}"
    if best != "as documented":
        return Finding(name, convention, Result.FAIL, f"{best}; {evidence}")
    if errors[best] > MAX_MISCOUNT:
        return Finding(name, convention, Result.FAIL, f"no reading of yaw puts the points into the boxes; {evidence}")
    return Finding(name, convention, Result.PASS, evidence)


def _center_height(counts: _PointCounts) -> Finding:
    name, convention = "box centre", "gravity centre, at half the height"
    reason = counts.unusable(axis=2)
    if reason:
        return Finding(name, convention, Result.UNVERIFIABLE, reason)
    errors = {"gravity centre": counts.error(height=0), "bottom centre": counts.error(height=1)}
    evidence = f"miscounted points: {spelled(errors)}"
    if best_reading(errors) == "bottom centre":
        return Finding(name, convention, Result.FAIL, f"z is that of the bottom, not of the centre; {evidence}")
    result = Result.PASS if errors["gravity centre"] <= MAX_MISCOUNT else Result.FAIL
    return Finding(name, convention, result, evidence)


def _heading(frames: Sequence[SampledFrame]) -> Finding:
    name, convention = "heading and velocity", "vehicles drive along yaw; velocity in the LiDAR frame"
    yaws, velocities, turned = [], [], []
    for frame in frames:
        to_global = _lidar2global(frame)
        for box, velocity, label in zip(frame.boxes, frame.velocities, frame.class_names, strict=True):
            if label in VEHICLES and np.isfinite(velocity).all() and np.hypot(*velocity) > MIN_SPEED:
                yaws.append(box[6])
                velocities.append(velocity)
                # What it would be in the LiDAR frame, were the file's the global one.
                turned.append(velocity if to_global is None else velocity @ to_global)
    if len(yaws) < MIN_VEHICLES:
        return Finding(
            name, convention, Result.UNVERIFIABLE, f"{len(yaws)} driving vehicles; {MIN_VEHICLES} are needed"
        )
    yaw = np.array(yaws)
    course = np.arctan2(*np.array(velocities).T[::-1])
    readings = {
        "as documented": course - yaw,
        "yaw points backwards": course - yaw - np.pi,
        "yaw negated": course + yaw,
        "yaw a quarter turn too far": course - yaw + np.pi / 2,
        "yaw a quarter turn short": course - yaw - np.pi / 2,
        "yaw clockwise from -y (mmdet3d before 1.0)": course + yaw + np.pi / 2,
        "velocity in the global frame": np.arctan2(*np.array(turned).T[::-1]) - yaw,
    }
    # Median, for one vehicle in reverse or a bad velocity says nothing of the convention.
    errors = {reading: float(np.degrees(np.median(np.abs(_wrapped(angle))))) for reading, angle in readings.items()}
    best = best_reading(errors)
    kept = {k: errors[k] for k in dict.fromkeys(("as documented", best))}
    evidence = f"median angle of {len(yaws)} vehicles to their course: {spelled(kept, '°')}"
    # Readings may differ little where the car happens to drive, but then the right one is right to a few degrees.
    if errors["as documented"] < max(5.0, min(20.0, 3 * errors[best])):
        return Finding(name, convention, Result.PASS, evidence)
    if errors[best] < 20:
        return Finding(name, convention, Result.FAIL, f"{best}; {evidence}")
    return Finding(name, convention, Result.FAIL, f"no reading of yaw agrees with the velocities; {evidence}")


def _lidar2global(frame: SampledFrame) -> Float[np.ndarray, "2 2"] | None:
    ego2global, lidar2ego = frame.matrix("ego2global"), frame.matrix("lidar_points", "lidar2ego")
    if ego2global is None or lidar2ego is None:
        return None
    return (ego2global @ lidar2ego)[:2, :2]


def _wrapped(angle: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    return (angle + np.pi) % (2 * np.pi) - np.pi
