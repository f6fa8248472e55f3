"""What real sensors do to exact rays: rolling shutter, blur, noise, and LiDARs in the rain."""

from dataclasses import replace

import numpy as np
import pytest

from synthetic_nuscenes import EXACT, PERFECT, CameraEffects, LidarErrors, World, sweep, take_picture
from synthetic_nuscenes.light.weather import draw_weather
from synthetic_nuscenes.moment import NOTHING
from synthetic_nuscenes.sensors.camera import pixel_rays
from synthetic_nuscenes.sensors.camera_effects import blurred, drops_on_lens, rain_streaks, sensor_noise
from synthetic_nuscenes.sensors.echoes import RAINDROP
from synthetic_nuscenes.sensors.rig import CAMERAS


def _under(world: World, **given: object) -> World:
    return replace(world, weather=draw_weather(np.random.default_rng(2), **given))


def test_the_middle_row_has_the_time_of_the_picture() -> None:
    delays = CameraEffects(rolling_shutter=0.02).row_delays(225)
    assert delays[112] == pytest.approx(0.0)
    assert (delays[0], delays[-1]) == (pytest.approx(-0.01), pytest.approx(0.01))
    assert not EXACT.row_delays(225).any()


def test_a_rolling_shutter_exposes_each_row_from_where_the_car_is_then(world: World) -> None:
    width, height = 96, 55
    effects = replace(EXACT, rolling_shutter=0.2)
    camera = CAMERAS[4]
    rolled = take_picture(world, camera, 0.2, width, height, smooth=False, effects=effects)
    still = take_picture(world, camera, 0.2, width, height, smooth=False)
    # Both agree on the middle row; the first row is that of a picture taken earlier.
    assert (rolled.body[27] == still.body[27]).mean() > 0.95
    for row in (0, 54):
        time = 0.2 + effects.row_delays(height)[row]
        pixels = np.column_stack([np.arange(width), np.full(width, row)]).astype(float)
        poses = world.ego_poses(np.array([time])) @ camera.to_ego()
        rays = pixel_rays(poses, camera.intrinsic(width, height), pixels)
        hits = world.cast(*rays, np.full(width, time))
        assert (rolled.body[row] == hits.body).mean() > 0.97
    assert (rolled.image != still.image).any()


def test_a_perfect_camera_is_the_default_and_needs_no_generator(world: World) -> None:
    plain = take_picture(world, CAMERAS[0], 0.0, 64, 36)
    exact = take_picture(world, CAMERAS[0], 0.0, 64, 36, effects=EXACT)
    np.testing.assert_array_equal(plain.image, exact.image)
    with pytest.raises(ValueError, match="need a generator"):
        take_picture(world, CAMERAS[0], 0.0, 64, 36, effects=CameraEffects())


def test_equal_generators_give_equal_pictures_in_the_rain(world: World) -> None:
    rainy = _under(world, time_of_day="dusk", rain=8.0)
    first, again, other = (
        take_picture(rainy, CAMERAS[0], 0.0, 64, 36, effects=CameraEffects(), rng=np.random.default_rng(seed)).image
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_blur_averages_along_the_motion_and_leaves_the_rest() -> None:
    light = np.zeros((40, 60, 3), np.float32)
    light[:, 30] = 1.0
    motion = np.zeros((40, 60, 2))
    motion[:20, :, 0] = 8.0
    smeared = blurred(light, motion)
    np.testing.assert_array_equal(smeared[20:], light[20:])
    assert np.count_nonzero(smeared[5, :, 0]) == 9
    assert smeared[5].sum() == pytest.approx(light[5].sum(), rel=0.01)


def test_what_stands_still_to_the_camera_is_not_blurred(world: World) -> None:
    parked = replace(world, ego=replace(world.ego, distances=np.full_like(world.ego.distances, 3.0)), actors=[])
    night = _under(parked, time_of_day="night", condition="clear")
    pictures = [
        take_picture(night, CAMERAS[0], 0.0, 64, 36, effects=replace(EXACT, motion_blur=blur)).image
        for blur in (True, False)
    ]
    # The body of the car still pitches a little: by less than a pixel.
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() < 1.0


def test_noise_grows_with_the_gain() -> None:
    gray = np.full((50, 50, 3), 0.4, np.float32)
    quiet, loud = (sensor_noise(gray, gain, np.random.default_rng(0)).std() for gain in (1.0, 7.0))
    assert loud > 3 * quiet > 0


def test_heavy_rain_leaves_more_on_the_picture_than_a_drizzle() -> None:
    rng = np.random.default_rng(0)
    light = rng.random((90, 160, 3)).astype(np.float32)
    for effect in (
        lambda rain: rain_streaks(light, rain, np.full(3, 0.6), np.random.default_rng(1)),
        lambda rain: drops_on_lens(light.copy(), rain, np.random.default_rng(1)),
    ):
        changed = [np.count_nonzero(np.abs(effect(rain) - light).max(axis=2) > 1e-3) for rain in (1.0, 14.0)]
        assert 0 < changed[0] < changed[1]


def test_rain_loses_far_returns_and_sends_some_back_from_near_the_car(world: World) -> None:
    dry, wet = _under(world, time_of_day="noon", condition="clear"), _under(world, time_of_day="noon", rain=12.0)
    turns = [sweep(scene, 0.0, np.random.default_rng(0)) for scene in (dry, wet)]
    distance = [np.linalg.norm(turn.points[:, :3], axis=1) for turn in turns]
    assert (distance[1] > 30).sum() < 0.7 * (distance[0] > 30).sum()
    assert turns[1].points[:, 3].mean() < turns[0].points[:, 3].mean()
    drops = turns[1].material == RAINDROP
    assert 50 < drops.sum() < 2000
    assert (turns[1].body[drops] == NOTHING).all()
    assert np.median(distance[1][drops]) < 6
    assert not (turns[0].material == RAINDROP).any()


def test_a_perfect_lidar_sees_the_same_in_the_rain(world: World) -> None:
    dry, wet = _under(world, time_of_day="noon", condition="clear"), _under(world, time_of_day="noon", rain=12.0)
    turns = [sweep(scene, 0.0, np.random.default_rng(0), PERFECT) for scene in (dry, wet)]
    np.testing.assert_array_equal(turns[0].points[:, :3], turns[1].points[:, :3])
    np.testing.assert_array_equal(turns[0].body, turns[1].body)


def test_objects_of_one_color_differ_in_reflectivity(world: World) -> None:
    turns = [
        sweep(world, 0.0, np.random.default_rng(0), LidarErrors(0.0, dropout=False, weather=False, spread=spread))
        for spread in (0.0, 0.2)
    ]
    scenery = turns[0].body == 0
    np.testing.assert_array_equal(turns[0].points[scenery, 3], turns[1].points[scenery, 3])
    assert (turns[0].points[~scenery, 3] != turns[1].points[~scenery, 3]).mean() > 0.5
