"""This module draws the time of day and the weather of a scene, and what they do to light, air and street."""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

TIMES_OF_DAY = {"morning": 0.2, "noon": 0.34, "evening": 0.18, "dusk": 0.1, "night": 0.18}
"""Times of day and how often each is drawn; evenings have a low sun, and at dusk it is just below the horizon."""
CONDITIONS = {"clear": 0.4, "cloudy": 0.22, "overcast": 0.15, "rain": 0.18, "fog": 0.05}
"""Conditions of the air and how often each is drawn."""
_SUN_HEIGHT = {"morning": (14, 35), "noon": (38, 62), "evening": (5, 14), "dusk": (-5, -2), "night": (25, 50)}
"""Height of the sun (degrees), at night of the moon."""
_EXPOSURE_TIME = {"morning": 0.002, "noon": 0.001, "evening": 0.004, "dusk": 0.012, "night": 0.02}
"""Seconds; nuScenes' cameras expose for 20 ms at most (nuscenes.org, sensor setup)."""
_LAMP_COLORS = ((1.0, 0.6, 0.26), (1.0, 0.78, 0.5), (0.95, 0.97, 1.0))
"""Sodium lamps, and warm and cold LEDs."""


@dataclass(frozen=True)
class Weather:
    """`Weather` is the time of day and the air of one scene, and their light; colors are linear RGB."""

    time_of_day: str
    """One of `TIMES_OF_DAY`."""
    condition: str
    """One of `CONDITIONS`."""
    rain: float
    """Rain that falls (mm/h), 0 when it is dry."""
    wet: float
    """How wet streets are, 0 to 1; they stay wet after rain."""
    sun: ndarray
    """`[3]` unit vector towards the sun."""
    sun_color: ndarray
    """`[3]` light of the sun on a surface that faces it; dim under clouds, nothing when the sun is down."""
    zenith: ndarray
    """`[3]` light of the sky overhead."""
    horizon: ndarray
    """`[3]` light of the sky at the horizon; also the color of haze."""
    afterglow: ndarray
    """`[3]` light at the horizon in the direction of a low sun."""
    daylight: float
    """Light that clouds and far walls get, as a share of that at noon."""
    clouds: float
    """Share of the sky under clouds."""
    cloud_place: ndarray
    """`[2]` place in the noise from which the clouds are taken."""
    haze: float
    """Distance (m) after which 63 % of the light comes from haze."""
    lights: float
    """Whether street lamps, vehicles and windows are lit: 0 or 1."""
    lamp_color: ndarray
    """`[3]` color of street lamps."""
    exposure: float
    """Factor before the tone curve."""
    exposure_time: float
    """Seconds for which a camera's shutter is open."""
    gain: float
    """Amplification of the sensor, and so of its noise; 1 by day."""


def draw_weather(
    rng: np.random.Generator,
    time_of_day: str | None = None,
    condition: str | None = None,
    rain: float | None = None,
    wet: float | None = None,
) -> Weather:
    """Draw the time of day and the weather.

    What is given is not drawn, and everything else comes out as it would without it.

    Args:
        time_of_day: one of `TIMES_OF_DAY`.
        condition: one of `CONDITIONS`; `rain` alone decides it too.
        rain: rain that falls, mm/h.
        wet: how wet streets are, 0 to 1.

    Raises:
        ValueError: when there is no such time of day or condition, or it rains without the condition `rain`.
    """
    drawn = (_one_of(rng, TIMES_OF_DAY), _one_of(rng, CONDITIONS), rng.uniform(2.0, 14.0), rng.random())
    time_of_day = drawn[0] if time_of_day is None else time_of_day
    if condition is None:
        # A rain that is given decides; without rain a drawn one leaves the clouds.
        condition = drawn[1] if rain is None else "rain" if rain > 0 else {"rain": "overcast"}.get(drawn[1], drawn[1])
    _check(time_of_day, condition, rain)
    if rain is None:
        rain = drawn[2] if condition == "rain" else 0.0
    if wet is None:
        # Also after rain, which is more likely under clouds.
        after_rain = {"overcast": 0.3, "cloudy": 0.12, "fog": 0.3}.get(condition, 0.0)
        wet = 1.0 if rain > 0 else 0.7 if drawn[3] < after_rain else 0.0
    return _light(rng, time_of_day, condition, float(rain), float(wet))


def describe(weather: Weather) -> str:
    """Return a few words for the description of a scene, such as `Night, rain, wet road`."""
    words = [weather.time_of_day.capitalize(), weather.condition]
    if weather.wet > 0:
        words.append("wet road")
    return ", ".join(words)


def _one_of(rng: np.random.Generator, shares: dict[str, float]) -> str:
    return str(rng.choice(list(shares), p=list(shares.values())))


def _check(time_of_day: str, condition: str, rain: float | None) -> None:
    for name, value, known in (("time_of_day", time_of_day, TIMES_OF_DAY), ("condition", condition, CONDITIONS)):
        if value not in known:
            raise ValueError(f"{name}: got {value!r}, expected one of {list(known)}")
    if rain is not None and (rain < 0 or (rain > 0) != (condition == "rain")):
        raise ValueError(f"rain: got {rain} mm/h with the condition {condition!r}")


def _light(rng: np.random.Generator, time_of_day: str, condition: str, rain: float, wet: float) -> Weather:
    height, azimuth = np.deg2rad(rng.uniform(*_SUN_HEIGHT[time_of_day])), rng.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)])
    overcast = {"clear": 0.0, "cloudy": 0.3, "overcast": 0.85, "rain": 0.95, "fog": 0.9}[condition]
    warmth = float(1 - np.sin(height)) if time_of_day in ("morning", "noon", "evening") else 0.0
    low = float(np.clip((np.deg2rad(16) - height) / np.deg2rad(16), 0, 1))
    gray = np.array([0.62, 0.65, 0.7])
    zenith = (1 - overcast) * np.array([0.12, 0.26, 0.6]) + overcast * 0.95 * gray
    horizon = (1 - overcast) * np.array([0.62, 0.72, 0.84]) + overcast * gray
    horizon = horizon * (1 + 0.3 * warmth * np.array([0.3, 0.0, -0.3]))
    sun_color = np.array([1.0, 0.93 - 0.16 * warmth - 0.25 * low, 0.8 - 0.4 * warmth - 0.25 * low]).clip(0.1)
    sun_color = sun_color * 2.9 * (1 - 0.97 * overcast) * (1 - 0.45 * low)
    afterglow = np.array([0.5, 0.25, 0.08]) * low * (1 - overcast)
    daylight = {"dusk": 0.13, "night": 0.006, "evening": 0.75}.get(time_of_day, 1.0) * (1 - 0.3 * overcast)
    exposure = (0.68 + 0.3 * overcast) * rng.uniform(0.92, 1.08)
    if time_of_day == "evening":
        zenith, horizon, exposure = 0.7 * zenith, 0.75 * horizon, 1.15 * exposure
    elif time_of_day == "dusk":
        blue = np.array([0.55, 0.75, 1.15])
        zenith, horizon, sun_color = 0.13 * zenith * blue, 0.13 * horizon * blue, np.zeros(3)
        afterglow, exposure = 0.5 * afterglow, 1.5 * exposure
    elif time_of_day == "night":
        # The glow of a town on its own sky; clouds and fog send more of it back.
        town = np.array([0.017, 0.014, 0.0115]) * (1 + 0.8 * overcast)
        zenith, horizon, sun_color = np.array([0.0025, 0.003, 0.006]) + 0.4 * town, town, np.zeros(3)
        afterglow, exposure = np.zeros(3), 2.3 * exposure
    haze = rng.uniform(500, 1100) * (1 - 0.5 * overcast)
    if condition == "rain":
        haze = 420 / (1 + 0.12 * rain)
    elif condition == "fog":
        haze = rng.uniform(45, 130)
    lights = time_of_day in ("dusk", "night") or (condition == "fog" and time_of_day != "noon")
    return Weather(
        time_of_day,
        condition,
        rain,
        wet,
        sun,
        sun_color,
        zenith,
        horizon,
        afterglow,
        daylight,
        clouds=rng.uniform(0.25, 0.5) + 0.45 * overcast,
        cloud_place=rng.uniform(0, 200, 2),
        haze=haze,
        lights=float(lights),
        lamp_color=np.array(_LAMP_COLORS[rng.integers(len(_LAMP_COLORS))]),
        exposure=exposure,
        exposure_time=_EXPOSURE_TIME[time_of_day] * (1 + overcast if time_of_day != "night" else 1),
        gain={"dusk": 3.0, "night": 7.0}.get(time_of_day, 1.0),
    )
