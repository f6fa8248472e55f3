"""The check of LiDAR against pictures: where the range jumps, the picture should have an edge.

Points at the edge of something near, before something far, are projected into the images; the strength of the
image's edge there is ranked among all points that the image shows. Under the right matrices they rank clearly
higher than points on smooth surfaces, and higher than under shifted, mirrored or inverted projections.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from scipy.stats import rankdata

from ponderv2.shapes import Bool, Float

from .camera_checks import READINGS, projected
from .finding import Finding, Result, spelled
from .sampled_frame import SampledFrame

MAX_RANGE = 40.0
"""Distance in metres of the farthest points that are looked at."""

MIN_EDGE_POINTS = 200
"""Number of points at range jumps that the check needs."""

FITS = 0.1
"""Lead in ranks that a right projection has, at least: the real key frame has 0.24, wrong projections up to 0.12."""

RANK_DEVIATION = 12**-0.5
"""Standard deviation of ranks that mean nothing, which are even in [0, 1]."""


def check_image_edges(frames: Sequence[SampledFrame]) -> Finding:
    """Check whether range jumps of the LiDAR lie on edges of the images."""
    name, convention = "LiDAR on image edges", "cam2img @ lidar2cam on original pixels"
    ranks = {reading: [[], []] for reading in _readings()}
    for frame in frames:
        try:
            edge, smooth = range_jumps(frame.points)
            images = {camera: _edge_strength(frame.gray_image(camera)) for camera in frame.cameras}
        except (FileNotFoundError, ValueError) as error:
            return Finding(name, convention, Result.UNVERIFIABLE, str(error))
        for camera, strength in images.items():
            _add_ranks(ranks, frame, camera, strength, edge, smooth)
    count = sum(map(len, ranks["as documented"][0]))
    if count < MIN_EDGE_POINTS:
        reason = f"{count} points at range jumps in the images; {MIN_EDGE_POINTS} are needed"
        return Finding(name, convention, Result.UNVERIFIABLE, reason)
    scores = {reading: _mean(parts[0]) - _mean(parts[1]) for reading, parts in ranks.items()}
    others = {reading: score for reading, score in scores.items() if reading != "as documented"}
    best = max(others, key=others.__getitem__)
    noise = RANK_DEVIATION * (2 / count) ** 0.5
    kept = {"as documented": scores["as documented"], best: scores[best]}
    evidence = (
        f"edge strength above that of smooth surfaces, in ranks ({count} points): {spelled(kept)}; noise {noise:.2g}"
    )
    lead = scores["as documented"] - scores[best]
    if lead > 2 * noise and scores["as documented"] > FITS:
        return Finding(name, convention, Result.PASS, evidence)
    if lead < -2 * noise and scores[best] > FITS:
        return Finding(name, convention, Result.FAIL, f"{best} fits the images better; {evidence}")
    return Finding(name, convention, Result.UNVERIFIABLE, f"the images do not decide; {evidence}")


def _readings() -> dict[str, tuple[Callable, Callable]]:
    """Return the readings by name: what each does to lidar2cam, and to pixels of an image of some width."""
    as_is = READINGS["as documented"]
    shifts = {
        f"shifted by {share:+.1%} of the width": (as_is, lambda uv, width, s=share: uv + np.array([s * width, 0.0]))
        for share in (-0.06, -0.03, 0.03, 0.06)
    }
    mirrored = {"mirrored": (as_is, lambda uv, width: np.array([width - 1, 0]) + uv * (-1, 1))}
    return {reading: (read, lambda uv, width: uv) for reading, read in READINGS.items()} | mirrored | shifts


def range_jumps(points: Float[np.ndarray, "p 5"]) -> tuple[Float[np.ndarray, "e 3"], Float[np.ndarray, "s 3"]]:
    """Find the points before a jump of range along their ring (the near side), and those on smooth surfaces.

    Args:
        points: points (x, y, z, intensity, ring) of a sweep.

    Raises:
        ValueError: the points have no ring number in their fifth column.
    """
    rings = np.unique(points[:, 4])
    if len(rings) < 2 or len(rings) > 256:
        raise ValueError(f"the fifth column of the points has {len(rings)} values; expected ring numbers")
    distance = np.hypot(points[:, 0], points[:, 1])
    order = np.lexsort((np.arctan2(points[:, 1], points[:, 0]), points[:, 4]))
    jump = np.empty(len(points))
    for ring in np.split(order, np.flatnonzero(np.diff(points[order, 4])) + 1):
        here = distance[ring]
        jump[ring] = np.maximum(np.roll(here, 1), np.roll(here, -1)) / here - 1
    near = (distance > 3) & (distance < MAX_RANGE)
    return points[near & (jump > 0.15), :3], points[near & (jump < 0.03), :3]


def _edge_strength(image: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Compute the horizontal gradient, smoothed to about two pixels of a full-size image: rings cross upright edges."""
    blurred = cv2.GaussianBlur(image, (0, 0), max(0.7, image.shape[1] / 800))
    return np.abs(cv2.Sobel(blurred, cv2.CV_32F, 1, 0))


def _add_ranks(
    ranks: dict[str, list[list]],
    frame: SampledFrame,
    camera: str,
    strength: Float[np.ndarray, "h w"],
    edge: Float[np.ndarray, "e 3"],
    smooth: Float[np.ndarray, "s 3"],
) -> None:
    """Rank edge strengths at the points of one image under every reading, and gather them in `ranks`."""
    lidar2cam, cam2img = frame.matrix("images", camera, "lidar2cam"), frame.matrix("images", camera, "cam2img", size=3)
    if lidar2cam is None or cam2img is None:
        return
    points = np.concatenate([edge, smooth])
    for reading, (read_matrix, read_pixels) in _readings().items():
        pixels, depth = projected(points, read_matrix(lidar2cam), cam2img)
        cell = np.rint(read_pixels(pixels, strength.shape[1])).clip(-1, 1e6).astype(int)
        shown = (depth > 1) & _inside(cell, strength.shape)
        values = strength[cell[shown, 1], cell[shown, 0]]
        # Ties share their mean rank, so that a picture of one colour says nothing.
        rank = rankdata(values) / max(len(values), 1)
        is_edge = np.flatnonzero(shown) < len(edge)
        ranks[reading][0].append(rank[is_edge])
        ranks[reading][1].append(rank[~is_edge])


def _inside(cell: np.ndarray, shape: tuple[int, int]) -> Bool[np.ndarray, "p"]:
    return (cell >= 0).all(axis=1) & (cell[:, 0] < shape[1]) & (cell[:, 1] < shape[0])


def _mean(parts: list[np.ndarray]) -> float:
    joined = np.concatenate(parts)
    return float(joined.mean()) if len(joined) else 0.0
