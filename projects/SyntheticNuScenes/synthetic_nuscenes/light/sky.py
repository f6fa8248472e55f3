"""This module gives the light of the sky, and turns light into the colors of a picture."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from synthetic_nuscenes.geometry.noise import fractal

from .weather import Weather


def sky(weather: Weather, directions: Float[ndarray, "n 3"], clouds: bool = True) -> Float[ndarray, "n 3"]:
    """Return the light from the sky along unit directions.

    Below the horizon it is that of the horizon, a little darker.
    """
    up = directions[:, 2]
    share = np.sqrt(np.clip(up, 0.0, 1.0))[:, None]
    light = weather.horizon * (1 - share) + weather.zenith * share
    towards_sun = directions @ weather.sun
    brightness = weather.sun_color.max() / 2.9
    glow = np.clip(towards_sun, 0, 1)[:, None]
    light = light + brightness * (0.22 * glow**12 + 0.5 * glow**120) * np.array([1.0, 0.9, 0.7])
    if weather.afterglow.max() > 0:
        level = np.exp(-4.5 * np.clip(up, 0, 1)) * (0.25 + 0.75 * np.clip(towards_sun, 0, 1)) ** 2
        light = light + level[:, None] * weather.afterglow
    if clouds:
        # A flat layer of clouds, seen in perspective.
        reach = 1.0 / np.clip(up + 0.09, 0.05, None)
        x = directions[:, 0] * reach * 1.1 + weather.cloud_place[0]
        y = directions[:, 1] * reach * 1.1 + weather.cloud_place[1]
        density = fractal(x, y, 5)
        cover = np.clip((density - (0.74 - 0.42 * weather.clouds)) * 5.0, 0, 1) * np.clip(up * 9, 0, 1)
        shade = 0.75 + 0.5 * (1 - density)
        white = np.array([0.93, 0.94, 0.97]) * (0.4 + 0.6 * brightness) * weather.daylight + 0.25 * weather.horizon
        white = (white + 0.3 * weather.afterglow) * shade[:, None]
        light = light * (1 - 0.85 * cover[:, None]) + white * 0.85 * cover[:, None]
    return light * np.where(up < 0, 0.65, 1.0)[:, None]


def develop(weather: Weather, light: Float[ndarray, "*n 3"]) -> Float[ndarray, "*n 3"]:
    """Turn light into displayed color in [0, 1].

    It applies the exposure, a tone curve with a soft shoulder (Narkowicz 2015, ACES fit) and gamma.
    """
    x = np.clip(light * weather.exposure, 0, None)
    curve = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return np.clip(curve, 0, 1) ** (1 / 2.2)
