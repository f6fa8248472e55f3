"""This module makes the sun, the sky and the air of a day."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from .textures import fractal


@dataclass(frozen=True)
class Weather:
    """`Weather` is the light of one scene; colours are linear RGB."""

    sun: ndarray
    """`[3]` unit vector towards the sun."""
    sun_color: ndarray
    """`[3]` light of the sun on a surface that faces it; dim under clouds."""
    zenith: ndarray
    """`[3]` light of the sky overhead."""
    horizon: ndarray
    """`[3]` light of the sky at the horizon; also the colour of haze."""
    clouds: float
    """Share of the sky under clouds."""
    cloud_place: ndarray
    """`[2]` place in the noise from which the clouds are taken."""
    haze: float
    """Distance (m) after which 63 % of the light comes from haze."""
    exposure: float
    """Factor before the tone curve."""


def draw_weather(rng: np.random.Generator) -> Weather:
    """Draw a clear, a cloudy or an overcast day, with the sun between 22 and 62 degrees high."""
    height, azimuth = np.deg2rad(rng.uniform(22, 62)), rng.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)])
    overcast = float(rng.choice([0.0, 0.3, 0.85], p=[0.5, 0.3, 0.2]))
    warmth = 1 - np.sin(height)
    sun_color = np.array([1.0, 0.93 - 0.16 * warmth, 0.8 - 0.4 * warmth]) * 2.9 * (1 - 0.85 * overcast)
    gray = np.array([0.62, 0.65, 0.7])
    zenith = (1 - overcast) * np.array([0.12, 0.26, 0.6]) + overcast * 0.8 * gray
    horizon = (1 - overcast) * np.array([0.62, 0.72, 0.84]) + overcast * gray
    horizon = horizon * (1 + 0.3 * warmth * np.array([0.3, 0.0, -0.3]))
    clouds = rng.uniform(0.25, 0.5) + 0.45 * overcast
    haze = rng.uniform(500, 1100) * (1 - 0.5 * overcast)
    exposure = (0.78 + 0.25 * overcast) * rng.uniform(0.92, 1.08)
    return Weather(sun, sun_color, zenith, horizon, clouds, rng.uniform(0, 200, 2), haze, exposure)


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
    if clouds:
        # A flat layer of clouds, seen in perspective.
        reach = 1.0 / np.clip(up + 0.09, 0.05, None)
        x = directions[:, 0] * reach * 1.1 + weather.cloud_place[0]
        y = directions[:, 1] * reach * 1.1 + weather.cloud_place[1]
        density = fractal(x, y, 5)
        cover = np.clip((density - (0.74 - 0.42 * weather.clouds)) * 5.0, 0, 1) * np.clip(up * 9, 0, 1)
        shade = 0.75 + 0.5 * (1 - density)
        white = (np.array([0.93, 0.94, 0.97]) * (0.4 + 0.6 * brightness) + 0.25 * weather.horizon) * shade[:, None]
        light = light * (1 - 0.85 * cover[:, None]) + white * 0.85 * cover[:, None]
    return light * np.where(up < 0, 0.65, 1.0)[:, None]


def develop(weather: Weather, light: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """Turn light into displayed colour in [0, 1].

    It applies the exposure, a tone curve with a soft shoulder (Narkowicz 2015, ACES fit) and gamma.
    """
    x = np.clip(light * weather.exposure, 0, None)
    curve = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return np.clip(curve, 0, 1) ** (1 / 2.2)
