"""Rays, sweeps and pictures of one synthetic world agree with each other."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray

from synthetic_nuscenes import PERFECT, World, sweep, take_picture
from synthetic_nuscenes.geometry.casting import Caster, first_hits_reference
from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.mesh import box
from synthetic_nuscenes.geometry.paths import Along, PathBuilder
from synthetic_nuscenes.moment import STATIC
from synthetic_nuscenes.objects.gait import GaitMesh
from synthetic_nuscenes.sensors.lidar import crossing_delay, firing_azimuths, firing_delays
from synthetic_nuscenes.sensors.rig import CAMERAS, Camera, lidar_to_ego
from synthetic_nuscenes.world import pose_matrices


def test_embree_hits_what_plain_geometry_says(world: World) -> None:
    rng = np.random.default_rng(0)
    mesh = world.scenery
    origins = world.ego_poses(np.zeros(60))[:, :3, 3] + np.array([0, 0, 1.8])
    directions = rng.normal(size=(60, 3)) * [1, 1, 0.3]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    fast = Caster(mesh.vertices, mesh.faces).first_hits(origins, directions)
    exact = first_hits_reference(mesh.vertices, mesh.faces, origins, directions)

    np.testing.assert_array_equal(fast.face >= 0, exact.face >= 0)
    hit = exact.face >= 0
    np.testing.assert_allclose(fast.distance[hit], exact.distance[hit], atol=2e-3, rtol=1e-4)
    assert (fast.face == exact.face).mean() > 0.9


def test_a_moving_actor_is_hit_where_it_is_at_the_time_of_each_ray(world: World) -> None:
    moving = [k for k, actor in enumerate(world.actors) if actor.moves and actor.kind.detection_name == "car"]
    actor = moving[0]
    times = np.linspace(0.0, 1.0, 21)
    centers, _ = world.actor_poses(actor, times)
    origins = centers + np.array([0.0, 0.0, 30.0])
    downwards = np.tile([0.0, 0.0, -1.0], (21, 1))
    hits = world.cast(origins, downwards, times)
    assert world.count_alone(origins, downwards, times)[actor] == 21
    # From above nothing but a tree or a lamp can be in the way.
    assert np.isin(hits.body, [actor + 1, STATIC]).all()
    roof = centers[0, 2] + world.actors[actor].size[2] / 2
    direct = hits.body == actor + 1
    np.testing.assert_allclose(30 + centers[direct, 2] - hits.distance[direct], roof, atol=0.15)


def test_actors_fill_their_boxes_and_stay_inside(world: World) -> None:
    for actor in world.actors:
        poses = actor.mesh.poses if isinstance(actor.mesh, GaitMesh) else (actor.mesh,)
        low = np.min([pose.vertices.min(axis=0) for pose in poses], axis=0)
        high = np.max([pose.vertices.max(axis=0) for pose in poses], axis=0)
        np.testing.assert_allclose(high - low, actor.size - [0.08, 0.08, 0.0], atol=0.031)
        assert (np.abs(np.stack([low, high])[:, :2]) <= actor.size[:2] / 2).all()


def test_points_project_onto_pixels_of_what_they_hit(world: World) -> None:
    time, width, height = 1.0, 320, 180
    turn = sweep(world, time, np.random.default_rng(0), PERFECT)
    to_world = world.ego_poses(np.array([time]))[0] @ lidar_to_ego()
    place = turn.points[:, :3] @ to_world[:3, :3].T + to_world[:3, 3]
    resting = np.array([body > STATIC and not world.actors[body - 1].moves for body in turn.body.tolist()])
    right = exact = total = 0
    for camera in CAMERAS:
        picture = take_picture(world, camera, time + camera.delay, width, height, smooth=False)
        pixel, depth = _project(place, world, camera, time + camera.delay, width, height)
        column, row = np.rint(pixel).astype(int).T
        inside = (depth > 1) & (column >= 1) & (column < width - 1) & (row >= 1) & (row < height - 1)
        # In view of the camera too: nothing between it and the point.
        pose = world.ego_poses(np.array([time + camera.delay]))[0] @ camera.to_ego()
        towards = place - pose[:3, 3]
        far = np.linalg.norm(towards, axis=1)
        unit = towards / far[:, None]
        sight = world.cast(np.tile(pose[:3, 3], (len(place), 1)), unit, np.full(len(place), time + camera.delay))
        chosen = np.flatnonzero(inside & resting & (sight.distance > far - 0.05))
        # A pixel is the square around its middle; at an outline the point may be in it beside the middle.
        around = np.stack([picture.body[row[chosen] + i, column[chosen] + j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
        right += (around == turn.body[chosen]).any(axis=0).sum()
        total += len(chosen)
        exact += (around[4] == turn.body[chosen]).sum()
    assert total > 200
    assert exact / total > 0.8
    assert right / total >= 0.99


def test_accumulated_sweeps_of_a_wall_are_flat_while_the_car_turns(world: World) -> None:
    # A long wall 8 m to the left and nothing else; the car turns right by 30 degrees a second at 5 m/s.
    wall = box((-100.0, 8.0, -1.0), (100.0, 9.0, 6.0), material("stone"))
    path = PathBuilder(0.0, 0.0, np.deg2rad(10)).turn(-np.deg2rad(40), 5.0 / np.deg2rad(30)).build()
    times = np.linspace(-0.6, 0.6, 50)
    world = replace(world, scenery=wall, actors=[], ego=Along(path, times, 5.0 * (times + 0.6)))
    heights = []
    for time in np.arange(-0.5, 0.51, 0.05):
        turn = sweep(world, float(time), np.random.default_rng(0), PERFECT)
        frame = world.ego_poses(np.array([time]))[0] @ lidar_to_ego()
        heights.append((turn.points[:, :3] @ frame[:3, :3].T + frame[:3, 3])[:, 1])
    across = np.concatenate(heights)
    turned = np.ptp(world.ego.at(np.array([-0.5, 0.5]))[:, 2])
    assert turned > np.deg2rad(25)
    assert len(across) > 10_000
    assert np.abs(across - 8.0).max() < 0.02


def test_sweeps_are_bounded_and_sorted_into_rings(world: World) -> None:
    turn = sweep(world, 0.5, np.random.default_rng(0))
    distance = np.linalg.norm(turn.points[:, :3], axis=1)
    assert 15_000 < len(distance) < 34_720
    assert distance.min() > 0.5
    assert distance.max() < 101
    assert turn.points.dtype == np.float32
    assert turn.points[:, 3].min() >= 0
    assert turn.points[:, 3].max() <= 255
    assert set(np.unique(turn.points[:, 4])) <= set(range(32))


@settings(max_examples=50, deadline=None)
@given(st.floats(-np.pi, np.pi))
def test_the_lidar_looks_at_an_azimuth_at_its_crossing_time(azimuth: float) -> None:
    delay = crossing_delay(azimuth)
    assert -0.05 <= delay <= 0.0
    looked = firing_azimuths()[np.argmin(np.abs(firing_delays() - delay))]
    assert abs(np.angle(np.exp(1j * (looked - azimuth)))) < 0.01


def test_cameras_are_taken_when_the_lidar_looks_their_way() -> None:
    for camera in CAMERAS:
        forward = camera.to_ego()[:3, 2]
        looked = firing_azimuths()[np.argmin(np.abs(firing_delays() - camera.delay))]
        assert abs(np.angle(np.exp(1j * (looked - np.arctan2(forward[1], forward[0]))))) < np.deg2rad(12)


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.floats(-3, 3)] * 3))
def test_pose_matrices_are_rotations(angles: tuple[float, float, float]) -> None:
    yaw, pitch, roll = (np.array([a]) for a in angles)
    turn = pose_matrices(np.zeros((1, 3)), yaw, pitch, roll)[0, :3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)


def _project(
    place: ndarray, world: World, camera: Camera, time: float, width: int, height: int
) -> tuple[ndarray, ndarray]:
    """Pixels and depths of points of the world."""
    pose = np.linalg.inv(world.ego_poses(np.array([time]))[0] @ camera.to_ego())
    local = place @ pose[:3, :3].T + pose[:3, 3]
    image = local @ camera.intrinsic(width, height).T
    return image[:, :2] / image[:, 2:], local[:, 2]
