"""This module draws the drivable area as a picture."""

from pathlib import Path

import cv2
import numpy as np
import shapely
from numpy import ndarray
from PIL import Image

from synthetic_nuscenes.synthetic_errors import naming

from .town import Town, polygons

MAP_RESOLUTION = 0.1
"""Size of a pixel (m), as in nuScenes."""


def draw_map(town: Town, path: Path) -> None:
    """Draw white roads on black, as nuScenes' maps are drawn: row 0 is the largest y."""
    columns, rows = (int(np.ceil(side / MAP_RESOLUTION)) for side in town.size)
    mask = np.zeros((rows, columns), np.uint8)

    def pixels(ring: ndarray) -> ndarray:
        x, y = ring.T / MAP_RESOLUTION
        return np.rint([x, rows - y]).T.astype(np.int32)

    for polygon in polygons(town.drivable):
        cv2.fillPoly(mask, [pixels(shapely.get_coordinates(polygon.exterior))], 255)
        for hole in polygon.interiors:
            cv2.fillPoly(mask, [pixels(shapely.get_coordinates(hole))], 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        Image.fromarray(mask).save(path)
