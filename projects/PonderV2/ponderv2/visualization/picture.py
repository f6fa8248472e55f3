"""Figures as arrays of pixels and as files, and the order of cameras."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

_LEFT_TO_RIGHT = (
    "CAM_FRONT_LEFT",
    "CAM_FRONT",
    "CAM_FRONT_RIGHT",
    "CAM_BACK_RIGHT",
    "CAM_BACK",
    "CAM_BACK_LEFT",
)
"""Around the car, as one would turn one's head."""


def order_of(cameras: Sequence[str]) -> list[int]:
    """The indices of the cameras as they follow one another around the car; unknown ones come last."""
    return sorted(range(len(cameras)), key=lambda k: _rank(cameras[k]))


def title_of(camera: str) -> str:
    """The name of a camera in words: "front left" of "CAM_FRONT_LEFT"."""
    return camera.removeprefix("CAM_").replace("_", " ").lower()


def figure_to_array(figure: Figure) -> np.ndarray:
    """Draw a figure as an RGB picture, uint8 `[H, W, 3]`."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def color_handle(color: str | Sequence[float], name: str) -> Line2D:
    """Return what a legend shows for a color."""
    return Line2D([], [], marker="o", linestyle="", color=color, label=name)


def save_png(picture: np.ndarray, path: Path) -> None:
    """Write an RGB picture, uint8 `[H, W, 3]`, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def _rank(camera: str) -> int:
    return _LEFT_TO_RIGHT.index(camera) if camera in _LEFT_TO_RIGHT else len(_LEFT_TO_RIGHT)
