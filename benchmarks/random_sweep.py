"""A LiDAR sweep that stands for a real one."""

import math

import numpy as np
import torch
from torch import Tensor


def random_sweep() -> Tensor:
    """Make the returns `[P, 5]` of 32 beams at 1084 azimuths, from the ground, walls and boxes around the car."""
    rng = np.random.default_rng(0)
    elevation, azimuth = np.meshgrid(
        np.radians(np.linspace(-30.67, 10.67, 32)), np.linspace(-math.pi, math.pi, 1084, endpoint=False), indexing="ij"
    )
    slope = np.tan(elevation)
    # Distances on the ground plane: of the ground 1.84 m below, of objects of some degrees, of a street's walls.
    ground = np.where(slope < 0, 1.84 / np.maximum(-slope, 1e-6), np.inf)
    walls = 12.0 / np.maximum(np.abs(np.cos(azimuth)), 0.15)
    objects = np.repeat(rng.uniform(5, 60, 271), 4) + 0.3 * rng.random(1084)
    objects[np.repeat(rng.random(271) < 0.6, 4)] = np.inf
    objects = np.where(slope * objects < 0.2, objects, np.inf)
    distance = np.minimum(np.minimum(ground, walls), objects)
    distance = distance + rng.normal(0, 0.02, distance.shape)
    points = np.stack(
        [
            distance * np.cos(azimuth),
            distance * np.sin(azimuth),
            distance * slope,
            rng.uniform(0, 100, distance.shape),
            np.zeros_like(distance),
        ],
        axis=-1,
    )
    return torch.from_numpy(points.reshape(-1, 5).astype(np.float32))
