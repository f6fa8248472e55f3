"""This module draws the drivable area as a picture."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from .synthetic_errors import naming
from .town import Town

MAP_RESOLUTION = 0.1
"""Size of a pixel (m), as in nuScenes."""


def draw_map(town: Town, path: Path) -> None:
    """Draw white streets on black, as nuScenes' maps are drawn: row 0 is the largest y."""
    columns, rows = (int(np.ceil(side / MAP_RESOLUTION)) for side in town.size)
    mask = np.full((rows, columns), 255, np.uint8)
    for block in town.blocks:
        outline = block.outline() / MAP_RESOLUTION
        cv2.fillPoly(mask, [np.rint([outline[:, 0], rows - outline[:, 1]]).T.astype(np.int32)], 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        Image.fromarray(mask).save(path)
