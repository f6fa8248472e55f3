"""This module draws a data set in nuScenes' format: six cameras with boxes and points, and the view from above."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy import ndarray
from nuscenes import NuScenes
from nuscenes.eval.detection.utils import category_to_detection_name
from nuscenes.utils.data_classes import Box
from nuscenes.utils.geometry_utils import view_points
from PIL import Image
from pyquaternion import Quaternion

from synthetic_nuscenes.output.tables import LIDAR_CHANNEL

from .points_in_car import open_dataset, points_in_car

COLORS = {
    "car": "#ffb000",
    "truck": "#ff6a3d",
    "bus": "#ff3d81",
    "trailer": "#c77dff",
    "construction_vehicle": "#b5e48c",
    "pedestrian": "#4cc9f0",
    "motorcycle": "#80ffdb",
    "bicycle": "#48f06a",
    "traffic_cone": "#ff9e80",
    "barrier": "#f8f9fa",
}
OTHER = "#8d99ae"
"""Colour of what is in no class of the detection task."""
_ROWS = (("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT"), ("CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT"))
_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
_LARGEST = 390_000
"""Largest number of bytes of a picture, so that it fits a README."""


def draw_preview(root: Path, path: Path, sample: int | None = None) -> tuple[Path, Path]:
    """Draw a key frame of a data set: `path` shows six views, the same name with `_top` the view from above.

    Args:
        root: folder of the data set.
        sample: number of the key frame; the middle one of the first scene by default.

    Returns:
        the paths of the two pictures.

    Raises:
        FileNotFoundError: when `root` has no folder `v1.0-*`.
    """
    nuscenes = open_dataset(root)
    if sample is None:
        sample = nuscenes.scene[0]["nbr_samples"] // 2
    top = path.with_name(f"{path.stem}_top{path.suffix}")
    save_small(draw_six_views(nuscenes, nuscenes.sample[sample]), path)
    save_small(draw_top_view(nuscenes, nuscenes.sample[sample]), top)
    return path, top


def draw_six_views(nuscenes: NuScenes, sample: dict, with_points: bool = True) -> ndarray:
    """Draw the images of a key frame with annotation boxes and LiDAR returns, as uint8 RGB."""
    first = nuscenes.get("sample_data", sample["data"]["CAM_FRONT"])
    width, height = first["width"], first["height"]
    figure = Figure(figsize=(12.0, 8.0 * height / width + 0.06), dpi=110)
    figure.subplots_adjust(0, 0, 1, 1, wspace=0.012, hspace=0.02)
    axes = figure.subplots(2, 3)
    for row, names in enumerate(_ROWS):
        for column, name in enumerate(names):
            _draw_camera(axes[row, column], nuscenes, sample, name, with_points)
    return figure_pixels(figure)


def draw_top_view(nuscenes: NuScenes, sample: dict, reach: float = 45.0) -> ndarray:
    """Draw a key frame from above, as uint8 RGB.

    It shows LiDAR returns in the colours of their lidarseg classes, boxes, and speeds as arrows.
    """
    figure = Figure(figsize=(9.0, 6.0), dpi=110, facecolor="#101418")
    axis = figure.add_axes((0, 0, 1, 1))
    top_view_on(axis, nuscenes, sample, (reach, reach * 2 / 3))
    handles = [axis.plot([], [], color=c, linewidth=3, label=name.replace("_", " "))[0] for name, c in COLORS.items()]
    axis.legend(
        handles=handles, loc="upper left", fontsize=8, facecolor="#101418", edgecolor="#444", labelcolor="white", ncol=2
    )
    return figure_pixels(figure)


def top_view_on(
    axis: Axes, nuscenes: NuScenes, sample: dict, reach: tuple[float, float], point_size: float = 1.6
) -> None:
    """Draw a key frame from above, ahead to the right, as `draw_top_view` does, without its legend.

    Args:
        axis: where to draw.
        nuscenes: the data set.
        sample: row of the key frame in the table `sample`.
        reach: metres from the car to the right and to the upper edge.
        point_size: area of a point, in square points of print.
    """
    data = sample["data"][LIDAR_CHANNEL]
    points = points_in_car(nuscenes, data)
    _, boxes, _ = nuscenes.get_sample_data(data, use_flat_vehicle_coordinates=True)
    labels = np.fromfile(Path(nuscenes.dataroot) / nuscenes.get("lidarseg", data)["filename"], np.uint8)
    palette = np.array([nuscenes.colormap[name] for name in nuscenes.lidarseg_name2idx_mapping]) / 255
    axis.set(xlim=(-reach[0], reach[0]), ylim=(-reach[1], reach[1]), aspect="equal")
    axis.axis("off")
    order = np.argsort(points[:, 2])
    axis.scatter(*points[order, :2].T, c=palette[labels[order]], s=point_size, linewidths=0)
    for box in boxes:
        color = COLORS.get(category_to_detection_name(box.name), OTHER)
        corners = box.bottom_corners()[:2].T
        axis.plot(*corners[[0, 1, 2, 3, 0]].T, color=color, linewidth=1.2)
        velocity = _velocity_in_car(nuscenes, data, box)
        if np.linalg.norm(velocity) > 0.3:
            axis.annotate(
                "", box.center[:2] + velocity, box.center[:2], arrowprops=dict(arrowstyle="-|>", color=color, lw=1.0)
            )
    axis.fill([-1.0, -1.0, 3.1, 3.1], [-0.87, 0.87, 0.87, -0.87], color="#e9ecef", zorder=3)


def save_small(picture: ndarray, path: Path, most: int = _LARGEST) -> None:
    """Write a PNG of at most `most` bytes, 390 kB by default: with 256 colours, and smaller if that is not enough."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(picture)
    for factor in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4):
        size = (round(image.width * factor), round(image.height * factor))
        small = image.resize(size, Image.Resampling.LANCZOS) if factor < 1 else image
        small.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= most:
            return


def _draw_camera(axis: Axes, nuscenes: NuScenes, sample: dict, name: str, with_points: bool) -> None:
    data = sample["data"][name]
    path, boxes, intrinsic = nuscenes.get_sample_data(data)
    image = np.asarray(Image.open(path))
    height, width = image.shape[:2]
    axis.imshow(image, interpolation="lanczos")
    axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axis.axis("off")
    label = name.removeprefix("CAM_").replace("_", " ").lower()
    axis.text(0.015, 0.965, label, color="white", fontsize=9, va="top", transform=axis.transAxes)
    if with_points:
        pixels, depth = _points_in_camera(nuscenes, sample, data, intrinsic)
        axis.scatter(*pixels.T, c=np.log(depth), cmap="turbo_r", s=0.7, alpha=0.5, linewidths=0, vmin=1.2, vmax=4.2)
    for box in sorted(boxes, key=lambda b: -b.center[2]):
        row = nuscenes.get("sample_annotation", box.token)
        if row["num_lidar_pts"] == 0 or row["visibility_token"] == "1":
            continue
        color = COLORS.get(category_to_detection_name(box.name), OTHER)
        for a, b in _edges_in_front(box):
            ends = view_points(np.stack([a, b], axis=1), intrinsic, normalize=True)[:2]
            axis.plot(*ends, color=color, linewidth=0.9, alpha=0.95)


def _edges_in_front(box: Box, nearest: float = 0.5) -> list[tuple[ndarray, ndarray]]:
    """Return the edges of a box in a camera's frame, cut where they come closer than `nearest` metres."""
    corners = box.corners().T
    edges = []
    for i, j in _EDGES:
        a, b = corners[i], corners[j]
        if a[2] < b[2]:
            a, b = b, a
        if a[2] <= nearest:
            continue
        if b[2] < nearest:
            b = a + (b - a) * (a[2] - nearest) / (a[2] - b[2])
        edges.append((a, b))
    return edges


def _points_in_camera(nuscenes: NuScenes, sample: dict, data: str, intrinsic: ndarray) -> tuple[ndarray, ndarray]:
    """Return the pixels and depths of the LiDAR returns that a camera has in view."""
    lidar = sample["data"][LIDAR_CHANNEL]
    points = np.fromfile(nuscenes.get_sample_data_path(lidar), np.float32).reshape(-1, 5)[:, :3].astype(np.float64)
    for token, there in ((lidar, False), (data, True)):
        row = nuscenes.get("sample_data", token)
        frames = [
            nuscenes.get("calibrated_sensor", row["calibrated_sensor_token"]),
            nuscenes.get("ego_pose", row["ego_pose_token"]),
        ]
        for frame in reversed(frames) if there else frames:
            turn, shift = Quaternion(frame["rotation"]).rotation_matrix, np.array(frame["translation"])
            points = (points - shift) @ turn if there else points @ turn.T + shift
        size = row["width"], row["height"]
    points = points[points[:, 2] > 1.0]
    pixels = view_points(points.T, intrinsic, normalize=True)[:2].T
    inside = ((pixels >= 0) & (pixels <= np.array(size) - 1)).all(axis=1)
    return pixels[inside], points[inside, 2]


def _velocity_in_car(nuscenes: NuScenes, data: str, box: Box) -> ndarray:
    pose = nuscenes.get("ego_pose", nuscenes.get("sample_data", data)["ego_pose_token"])
    velocity = nuscenes.box_velocity(box.token)
    return (Quaternion(pose["rotation"]).inverse.rotation_matrix @ velocity)[:2]


def figure_pixels(figure: Figure) -> ndarray:
    """Draw a figure; returns it as uint8 RGB."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
