"""Checks of camera matrices: their direction, their agreement with the poses, and whether boxes land in the images."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from ponderv2.shapes import Float

from .finding import Finding, Result, best_reading, spelled
from .sampled_frame import SampledFrame, transformed

AZIMUTHS = {
    "CAM_FRONT": 0.0,
    "CAM_FRONT_RIGHT": -55.0,
    "CAM_FRONT_LEFT": 55.0,
    "CAM_BACK": 180.0,
    "CAM_BACK_LEFT": 110.0,
    "CAM_BACK_RIGHT": -110.0,
}
"""The directions that nuScenes' cameras look in, degrees counter-clockwise from straight ahead."""

READINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as documented": lambda matrix: matrix,
    "lidar2cam inverted": np.linalg.inv,
}
"""Readings of the key `lidar2cam`, and how each makes LiDAR → camera from it."""

MAX_SPEED = 30.0
"""Speed in metres a second that the car may have between LiDAR and camera, where the file has no pose of the camera."""


def check_cameras(frames: Sequence[SampledFrame]) -> list[Finding]:
    """Check the direction of matrices, their agreement with the poses, intrinsics, and boxes in images."""
    return [_directions(frames), _poses(frames), _intrinsics(frames), _boxes_seen(frames)]


def _directions(frames: Sequence[SampledFrame]) -> Finding:
    name, convention = "lidar2cam", "LiDAR → camera (x right, y down, z forward); LiDAR looks along +y"
    errors = {reading: [] for reading in READINGS}
    for frame in frames:
        for camera in set(frame.cameras) & set(AZIMUTHS):
            matrix = frame.matrix("images", camera, "lidar2cam")
            if matrix is not None:
                for reading, read in READINGS.items():
                    errors[reading].append(_angle_off(read(matrix), AZIMUTHS[camera]))
    if not errors["as documented"]:
        return Finding(name, convention, Result.UNVERIFIABLE, "no camera of nuScenes with a lidar2cam")
    worst = {reading: max(angles) for reading, angles in errors.items()}
    best = best_reading(worst)
    evidence = f"largest angle to where the cameras' names say they look: {spelled(worst, '°')}"
    if worst["as documented"] < 25:
        return Finding(name, convention, Result.PASS, evidence)
    cause = best if worst[best] < 25 else "no reading of the matrix makes the cameras look where their names say"
    return Finding(name, convention, Result.FAIL, f"{cause}; {evidence}")


def _angle_off(lidar2cam: Float[np.ndarray, "4 4"], azimuth: float) -> float:
    """Compute the largest angle, degrees, between a camera's down and forward axes and where they should point."""
    radians = math.radians(azimuth)
    forward = np.array([-math.sin(radians), math.cos(radians), 0.0])
    cosines = (lidar2cam[2, :3] @ forward, -lidar2cam[1, 2])
    return math.degrees(max(math.acos(min(max(c, -1.0), 1.0)) for c in cosines))


def _poses(frames: Sequence[SampledFrame]) -> Finding:
    name, convention = "lidar2cam and poses", "LiDAR → ego → global → ego at the camera's time → camera"
    worst, allowed, exact, count = dict.fromkeys(("as documented", "lidar2cam inverted"), 0.0), 0.0, 0, 0
    for frame in frames:
        lidar2global = _product(frame.matrix("ego2global"), frame.matrix("lidar_points", "lidar2ego"))
        for camera in frame.cameras:
            matrix, cam2ego = (frame.matrix("images", camera, key) for key in ("lidar2cam", "cam2ego"))
            if matrix is None or cam2ego is None or lidar2global is None:
                continue
            pose = frame.matrix("images", camera, "ego2global")
            count, exact = count + 1, exact + (pose is not None)
            lag = abs(frame.info["images"][camera].get("timestamp", math.inf) - frame.info["timestamp"])
            slack = 0.05 if pose is not None else 0.2 + MAX_SPEED * min(lag, 0.1)
            allowed = max(allowed, slack)
            pose = frame.matrix("ego2global") if pose is None else pose
            expected = np.linalg.inv(pose @ cam2ego) @ lidar2global
            for reading in worst:
                worst[reading] = max(worst[reading], _apart(READINGS[reading](matrix), expected))
    if not count:
        return Finding(name, convention, Result.UNVERIFIABLE, "the file has no cam2ego, lidar2ego or ego2global")
    with_pose = "with" if exact == count else "without"
    evidence = (
        f"points 10 m away are off by at most: {spelled(worst, ' m')} ({count} matrices, {with_pose} camera poses)"
    )
    if worst["as documented"] <= allowed:
        return Finding(name, convention, Result.PASS, f"{evidence}; {allowed:.2g} m allowed")
    best = best_reading(worst)
    cause = best if worst[best] <= allowed else "lidar2cam does not follow from the poses"
    return Finding(name, convention, Result.FAIL, f"{cause}; {evidence}; {allowed:.2g} m allowed")


def _product(*matrices: Float[np.ndarray, "4 4"] | None) -> Float[np.ndarray, "4 4"] | None:
    return None if any(m is None for m in matrices) else np.linalg.multi_dot(matrices)


def _apart(first: Float[np.ndarray, "4 4"], second: Float[np.ndarray, "4 4"]) -> float:
    """Compute how far apart, in metres and at most, two matrices move points that are 10 m away."""
    points = 10 * np.concatenate([np.eye(3), -np.eye(3)])
    return float(np.linalg.norm(transformed(first, points) - transformed(second, points), axis=1).max())


def _intrinsics(frames: Sequence[SampledFrame]) -> Finding:
    name, convention = "cam2img", "3×3, in pixels of the image files"
    worst, count = 0.0, 0
    for frame in frames:
        for camera in frame.cameras:
            matrix = frame.matrix("images", camera, "cam2img", size=3)
            size = _image_size(frame, camera)
            if matrix is None or size is None:
                continue
            count += 1
            worst = max(worst, abs(matrix[0, 2] / size[1] - 0.5), abs(matrix[1, 2] / size[0] - 0.5))
    if not count:
        return Finding(name, convention, Result.UNVERIFIABLE, "no image can be read, and the file gives no sizes")
    evidence = f"principal point at most {worst:.0%} of the size off the image centre ({count} images)"
    # nuScenes' own are within 6 %; intrinsics of images of half the size are 25 % off.
    result = Result.PASS if worst < 0.15 else Result.FAIL
    return Finding(name, convention, result, evidence)


def _image_size(frame: SampledFrame, camera: str) -> tuple[int, int] | None:
    """Return (height, width) of the image file, or else what the info says."""
    try:
        return frame.gray_image(camera).shape
    except (FileNotFoundError, ValueError):
        info = frame.info["images"][camera]
        return (info["height"], info["width"]) if {"height", "width"} <= set(info) else None


def _boxes_seen(frames: Sequence[SampledFrame]) -> Finding:
    name, convention = "boxes in images", "each box centre is seen by a camera of the full ring"
    seen, count = dict.fromkeys(READINGS, 0), 0
    for frame in frames:
        if not set(AZIMUTHS) <= set(frame.cameras):
            continue
        # Boxes right beside the car are above or below every image.
        distance = np.hypot(*frame.boxes[:, :2].T)
        centers = frame.boxes[(distance > 8) & (distance < 50), :3]
        count += len(centers)
        for reading, read in READINGS.items():
            seen[reading] += int(_seen(frame, centers, read).sum())
    if count < 10:
        reason = f"{count} boxes between 8 and 50 m in frames with all six cameras; 10 are needed"
        return Finding(name, convention, Result.UNVERIFIABLE, reason)
    shares = {reading: number / count for reading, number in seen.items()}
    evidence = f"share of {count} boxes: {spelled(shares)}"
    best = max(shares, key=shares.__getitem__)
    if shares["as documented"] >= 0.9:
        return Finding(name, convention, Result.PASS, evidence)
    cause = best if shares[best] >= 0.9 else "no reading of lidar2cam brings the boxes into the images"
    return Finding(name, convention, Result.FAIL, f"{cause}; {evidence}")


def _seen(frame: SampledFrame, centers: Float[np.ndarray, "n 3"], read: Callable) -> np.ndarray:
    """Tell which centres are in some image."""
    seen = np.zeros(len(centers), dtype=bool)
    for camera in frame.cameras:
        matrix, cam2img = frame.matrix("images", camera, "lidar2cam"), frame.matrix("images", camera, "cam2img", size=3)
        size = _image_size(frame, camera)
        if matrix is None or cam2img is None or size is None:
            continue
        pixels, depth = projected(centers, read(matrix), cam2img)
        inside = (pixels >= 0).all(axis=1) & (pixels[:, 0] < size[1]) & (pixels[:, 1] < size[0])
        seen |= inside & (depth > 1)
    return seen


def projected(
    points: Float[np.ndarray, "p 3"], lidar2cam: Float[np.ndarray, "4 4"], cam2img: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, "p 2"], Float[np.ndarray, "p"]]:
    """Compute the pixels (u, v) and depths of points; where the depth is not positive the pixel means nothing."""
    in_camera = transformed(lidar2cam, points)
    uvd = in_camera @ cam2img.T
    return uvd[:, :2] / np.maximum(uvd[:, 2:], 1e-3), in_camera[:, 2]
