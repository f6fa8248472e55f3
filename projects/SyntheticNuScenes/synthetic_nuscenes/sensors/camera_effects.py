"""This module holds what a real camera adds to a picture: rolling shutter, motion blur, glare, noise, rain."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter, map_coordinates


@dataclass(frozen=True)
class CameraEffects:
    """`CameraEffects` say how a real camera differs from a perfect one.

    All but the rolling shutter cost a few milliseconds and leave geometry where the tables have it, so they are on. A
    rolling shutter moves things by what the car drives while the rows are read, which no single pose of a picture
    can tell, so it is off.
    """

    rolling_shutter: float = 0.0
    """Seconds from the first row to the last; the time of the picture is that of the middle row."""
    motion_blur: bool = True
    """Whether what moves in the image is blurred over the exposure time of the `Weather`.

    It is blurred along the motion of what each pixel shows at the middle of the exposure.
    """
    glare: bool = True
    """Whether bright lights shine over their surroundings."""
    noise: bool = True
    """Whether there is sensor noise; it grows with the gain of the `Weather`."""
    rain: bool = True
    """Whether rain leaves streaks in the air and drops on the lens."""

    @property
    def are_drawn(self) -> bool:
        """Whether any effect needs random numbers."""
        return self.noise or self.rain

    def row_delays(self, height: int) -> Float[ndarray, " h"]:
        """Return the time (s) from that of the picture to the exposure of each row."""
        return self.rolling_shutter * (np.arange(height) / max(height - 1, 1) - 0.5)


EXACT = CameraEffects(rolling_shutter=0.0, motion_blur=False, glare=False, noise=False, rain=False)
"""A perfect camera: all rays at one time, and nothing but light."""


def blurred(light: Float[ndarray, "h w 3"], motion: Float[ndarray, "h w 2"], taps: int = 9) -> Float[ndarray, "h w 3"]:
    """Blur an image along the motion (pixels) of each pixel, which is averaged over `taps` places along it."""
    height, width = light.shape[:2]
    moving = np.flatnonzero(np.abs(motion).max(axis=2).ravel() > 0.6)
    if len(moving) == 0:
        return light
    # Nothing is blurred over more than an eighth of the image.
    step = np.clip(motion.reshape(-1, 2)[moving], -width / 8, width / 8)
    v, u = np.divmod(moving, width)
    flat, total = light.reshape(-1, 3), np.zeros((len(moving), 3), light.dtype)
    for share in np.linspace(-0.5, 0.5, taps):
        column = np.clip(np.rint(u + share * step[:, 0]).astype(np.int64), 0, width - 1)
        row = np.clip(np.rint(v + share * step[:, 1]).astype(np.int64), 0, height - 1)
        total += flat[row * width + column]
    result = flat.copy()
    result[moving] = total / taps
    return result.reshape(light.shape)


def glare(light: Float[ndarray, "h w 3"], exposure: float, strength: float = 1.0) -> Float[ndarray, "h w 3"]:
    """Spread a little of what is brighter than white over its surroundings, near and far."""
    bright = np.clip(light - 1.2 / exposure, 0, 30.0)
    if bright.max() <= 0:
        return light
    size = light.shape[1]
    spread = np.zeros_like(light)
    for radius, share in ((0.003 * size, 0.12), (0.012 * size, 0.05), (0.05 * size, 0.03)):
        spread += share * strength * gaussian_filter(bright, (radius, radius, 0), truncate=3.0)
    return light + spread


def sensor_noise(color: Float[ndarray, "h w 3"], gain: float, rng: np.random.Generator) -> Float[ndarray, "h w 3"]:
    """Add the noise of photons and of the readout to a displayed image in [0, 1]."""
    size = gain**0.75 * (0.0025 + 0.006 * np.sqrt(color))
    drawn = rng.standard_normal(color.shape, np.float32)
    # Neighbors share part of their noise, as after demosaicing.
    drawn = 0.75 * drawn + 0.35 * (np.roll(drawn, 1, axis=1) + np.roll(drawn, 1, axis=0))
    return np.clip(color + size * drawn, 0, 1)


def rain_streaks(
    light: Float[ndarray, "h w 3"], rain: float, horizon: Float[ndarray, "3"], rng: np.random.Generator
) -> Float[ndarray, "h w 3"]:
    """Draw faint, nearly upright streaks of falling drops; `rain` is in mm/h."""
    height, width = light.shape[:2]
    count = int(rng.poisson(28 * rain**0.7))
    slant = rng.normal(0, 0.12)
    x, y = rng.uniform(0, width, count), rng.uniform(-0.1 * height, height, count)
    length = rng.uniform(0.02, 0.1, count) * height
    strength = rng.uniform(0.03, 0.16, count)
    cover = np.zeros((height, width), np.float32)
    for share in np.linspace(0, 1, max(int(0.1 * height), 4)):
        column, row = np.rint(x + slant * share * length).astype(int), np.rint(y + share * length).astype(int)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        at = (row[inside], column[inside])
        cover[at] = np.maximum(cover[at], strength[inside])
    cover = gaussian_filter(cover, 0.0006 * width)[..., None]
    # A drop shows a wide view turned upside down: sky, and some of what is around.
    around = 0.6 * horizon.astype(np.float32) + 0.6 * light.mean(axis=(0, 1))
    return light * (1 - cover) + cover * around


def drops_on_lens(light: Float[ndarray, "h w 3"], rain: float, rng: np.random.Generator) -> Float[ndarray, "h w 3"]:
    """Put drops on the lens; each shows its surroundings upside down, and out of focus; `rain` is in mm/h."""
    height, width = light.shape[:2]
    count = int(rng.poisson(1.5 + 1.6 * rain**0.7))
    blurry = None
    for _ in range(count):
        radius = width * rng.uniform(0.006, 0.035) * rng.random() ** 0.7 + 1.0
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        tall = rng.uniform(1.0, 1.35)
        low, high = (
            np.maximum([y - tall * radius, x - radius], 0).astype(int),
            np.array([y + tall * radius, x + radius]),
        )
        high = np.minimum(np.ceil(high).astype(int) + 1, (height, width))
        if (high <= low).any():
            continue
        v, u = np.mgrid[low[0] : high[0], low[1] : high[1]]
        dy, dx = (v - y) / (tall * radius), (u - x) / radius
        away = dx**2 + dy**2
        cover = np.clip((1 - away) * 2.5, 0, 1)[..., None]
        if blurry is None:
            blurry = gaussian_filter(light, (0.006 * width, 0.006 * width, 0))
        reach = 4.0 * radius
        seen = [
            map_coordinates(blurry[..., c], [y - dy * reach, x - dx * reach], order=1, mode="nearest") for c in range(3)
        ]
        inside = np.stack(seen, axis=-1) * (0.92 - 0.3 * away[..., None] ** 2).clip(0.5)
        patch = light[low[0] : high[0], low[1] : high[1]]
        light[low[0] : high[0], low[1] : high[1]] = patch * (1 - 0.85 * cover) + 0.85 * cover * inside
    return light
