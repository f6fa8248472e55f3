"""Night, rain and wet streets look it; a scene's weather is drawn, or given."""

from dataclasses import replace

import numpy as np
import pytest
from numpy import ndarray

from synthetic_nuscenes import World, take_picture
from synthetic_nuscenes.geometry.materials import MATERIALS, material
from synthetic_nuscenes.geometry.mesh import box, merged
from synthetic_nuscenes.light.lamps import NightLights
from synthetic_nuscenes.light.weather import CONDITIONS, TIMES_OF_DAY, Weather, describe, draw_weather
from synthetic_nuscenes.output.tables import CATEGORIES
from synthetic_nuscenes.sensors.rig import CAMERAS


def _weather(**given: object) -> Weather:
    return draw_weather(np.random.default_rng(2), **given)


def _picture(world: World, weather: Weather, camera: int = 0) -> ndarray:
    changed = replace(world, weather=weather)
    return take_picture(changed, CAMERAS[camera], 0.0, 120, 68, smooth=False).image.astype(float)


def test_equal_seeds_give_equal_weather_and_all_sorts_occur() -> None:
    drawn = [draw_weather(np.random.default_rng(seed)) for seed in range(150)]
    assert {weather.time_of_day for weather in drawn} == set(TIMES_OF_DAY)
    assert {weather.condition for weather in drawn} == set(CONDITIONS)
    assert any(weather.wet > 0 and weather.rain == 0 for weather in drawn)
    again = draw_weather(np.random.default_rng(7))
    for name, value in vars(drawn[7]).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_what_is_given_is_kept_and_leaves_the_rest_alone() -> None:
    night = _weather(time_of_day="night", rain=6.0)
    assert describe(night) == "Night, rain, wet road"
    assert night.rain == 6.0
    assert describe(_weather(time_of_day="noon", condition="clear")) == "Noon, clear"
    np.testing.assert_array_equal(night.cloud_place, _weather(time_of_day="noon", condition="clear").cloud_place)


@pytest.mark.parametrize(
    "given", [{"time_of_day": "teatime"}, {"condition": "hail"}, {"condition": "clear", "rain": 3.0}]
)
def test_weather_that_is_none_is_refused(given: dict) -> None:
    with pytest.raises(ValueError, match="got"):
        _weather(**given)


def test_night_is_darker_than_day_and_lamps_light_the_street(world: World) -> None:
    noon = _picture(world, _weather(time_of_day="noon", condition="clear"))
    night = _weather(time_of_day="night", condition="clear")
    dark = _picture(replace(world, lamps=np.zeros((0, 3))), night)
    lit = _picture(world, night)
    assert lit.mean() < 0.6 * noon.mean()
    # How much of the picture lamps reach is the town's affair.
    assert dark.mean() < lit.mean()
    assert (lit.astype(int) - dark).max() > 20


def test_lamps_shine_on_the_street_below_and_not_through_a_roof(world: World) -> None:
    lamp = np.array([[0.0, 0.0, 6.0]])
    street = box((-50, -50, -1), (50, 50, 0), material("asphalt"))
    roof = box((4, -3, 3), (9, 3, 3.2), material("steel"))
    night = _weather(time_of_day="night", condition="clear")
    small = replace(world, scenery=merged([street, roof]), actors=[], weather=night, lamps=lamp)
    # Behind the ego car, which is far away.
    lights = NightLights(small, small.at(0.0), np.zeros(2))
    point = np.array([[0.5, 0.0, 0.01], [8.0, 0.0, 0.01], [-8.0, 0.0, 0.01]])
    below, shaded, beside = lights.on_surfaces(point, np.tile([0.0, 0.0, 1.0], (3, 1)).astype(np.float32)).max(axis=1)
    assert below > beside > 0.01
    assert shaded < 0.1 * beside


def test_lamps_are_where_the_scenery_has_their_heads(world: World) -> None:
    of_lamps = world.scenery.faces[world.scenery.materials == material("lamp").number]
    middles = world.scenery.vertices[of_lamps].mean(axis=1)
    assert len(world.lamps) > 3
    for head in world.lamps:
        assert head[2] > 3
        assert np.linalg.norm(middles - head, axis=1).min() < 0.5


def test_a_wet_road_is_darker_and_mirrors_what_stands_on_it(world: World) -> None:
    street = box((-500, -500, -1), (800, 800, 0), material("asphalt"))
    pose = world.ego_poses(np.zeros(1))[0]
    sides = [pose[:3, 3] + pose[:3, :3] @ corner for corner in ([14.0, -6.0, 0.0], [18.0, 6.0, 5.0])]
    red = box(np.min(sides, axis=0), np.max(sides, axis=0), material("sign"), (0.9, 0.02, 0.02))
    small = replace(world, scenery=merged([street, red]), actors=[])
    dry, wet = (
        _picture(small, _weather(time_of_day="noon", condition="overcast", wet=wet))[45:60, 40:80] for wet in (0.0, 1.0)
    )
    redness = [image[..., 0] / image[..., 2] for image in (dry, wet)]
    assert redness[1].mean() > redness[0].mean() + 0.1
    assert np.median(wet[..., 2]) < np.median(dry[..., 2])


def test_rain_takes_contrast_from_what_is_far(world: World) -> None:
    clear = _weather(time_of_day="noon", condition="overcast")
    rain = _weather(time_of_day="noon", rain=12.0)
    assert rain.haze < 0.7 * clear.haze
    # Two walls 60 m ahead, a white one on the left and a black one on the right.
    x, y, yaw = world.ego.at(np.zeros(1))[0]
    walls = [
        box((60, 0.5, 0), (61, 12, 12), material("sign"), (0.9, 0.9, 0.9)),
        box((60, -12, 0), (61, -0.5, 12), material("sign"), (0.02, 0.02, 0.02)),
    ]
    small = replace(world, scenery=merged(walls).moved((x, y, 0.0), float(yaw)), actors=[])
    contrast = []
    for weather in (clear, rain):
        picture = _picture(small, weather)[30:34]
        contrast.append(np.abs(picture[:, 45:55].mean() - picture[:, 68:78].mean()))
    assert 20 < contrast[1] < 0.95 * contrast[0]


def test_every_class_of_ground_and_background_has_a_material() -> None:
    labels = {surface.label for surface in MATERIALS}
    assert {f"flat.{name}" for name in ("driveable_surface", "other", "sidewalk", "terrain")} <= labels
    assert {"static.manmade", "static.vegetation", "noise"} <= labels
    assert labels <= set(CATEGORIES)
