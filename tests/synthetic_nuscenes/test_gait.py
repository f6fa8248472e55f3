"""Walkers and people who pedal move their limbs, stay in their boxes, and do not slide over the ground."""

from dataclasses import replace

import numpy as np
import pytest

from synthetic_nuscenes import World
from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.mesh import box
from synthetic_nuscenes.geometry.paths import PathBuilder, Still, steady
from synthetic_nuscenes.objects.catalogue import GROUND_MARGIN, KINDS, build_in_box, draw_size
from synthetic_nuscenes.objects.gait import GaitMesh, two_bones, with_gait
from synthetic_nuscenes.traffic.actors import Actor


def _figure(name: str, seed: int = 0) -> tuple[GaitMesh, np.ndarray]:
    rng = np.random.default_rng(seed)
    size = draw_size(KINDS[name], rng)
    return build_in_box(KINDS[name], size, rng), size


@pytest.mark.parametrize("name", ["pedestrian", "worker", "cyclist"])
def test_every_pose_is_in_the_box_and_differs_from_the_next(name: str) -> None:
    figure, size = _figure(name)
    assert len(figure.poses) >= 9
    for before, after in zip(figure.poses[1:], [*figure.poses[2:], figure.poses[1]]):
        # Feet are on the ground, which the box begins a little above.
        assert (np.abs(after.vertices) <= size / 2 + [0, 0, GROUND_MARGIN + 1e-9]).all()
        assert np.abs(after.vertices - before.vertices).max() > 0.03


def test_the_foot_on_the_ground_goes_back_as_fast_as_the_body_goes_forward() -> None:
    figure, size = _figure("pedestrian")
    steps = len(figure.poses) - 1
    shoes = figure.materials == material("rubber").number
    ahead = []
    for pose in figure.poses[1 : steps // 2 + 1]:
        # The right foot, which stands in the first half of the stride.
        sole = pose.vertices[np.unique(pose.faces[shoes])]
        sole = sole[sole[:, 1] < 0]
        np.testing.assert_allclose(sole[:, 2].min(), -size[2] / 2 - GROUND_MARGIN, atol=0.01)
        ahead.append(sole[:, 0].max())
    np.testing.assert_allclose(np.diff(ahead), -figure.stride / steps, atol=0.01)


def test_who_stands_or_stops_takes_the_pose_at_rest(world: World) -> None:
    figure, size = _figure("pedestrian")
    path = PathBuilder(0.0, 0.0, 0.0).straight(100.0).build()
    walker = Actor(KINDS["pedestrian"], size, figure, steady(path, 1.3, 0.0, 0.0, 5.0), 0.0, "pedestrian.standing")
    stander = replace(walker, motion=Still(5.0, 5.0, 0.0))
    both = replace(world, actors=[walker, stander])
    times = np.linspace(0.2, 4.0, 40)
    assert set(both.limb_poses(0, times)) == set(range(1, len(figure.poses)))
    assert not both.limb_poses(1, times).any()


def test_rays_meet_the_pose_of_their_own_time(world: World) -> None:
    figure, size = _figure("pedestrian")
    x, y, _ = world.ego.at(np.zeros(1))[0]
    path = PathBuilder(x, y, 0.3).straight(100.0).build()
    walker = Actor(KINDS["pedestrian"], size, figure, steady(path, 1.3, 0.0, -1.0, 5.0), 0.0, "")
    ground = box((-500, -500, -1), (900, 900, 0), material("asphalt"))
    alone = replace(world, actors=[walker], scenery=ground)
    rng = np.random.default_rng(0)
    times = rng.uniform(0.0, 2.0, 400)
    center, _ = alone.actor_poses(0, times)
    aim = center + rng.normal(0, (0.15, 0.15, 0.4), (400, 3))
    origins = center + np.array([0.0, -6.0, 0.5])
    directions = aim - origins
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    hits = alone.cast(origins, directions, times)
    met = np.flatnonzero(hits.body == 1)
    assert len(met) > 150
    for ray in met[:40]:
        now = alone.at(float(times[ray])).first_hits(origins[ray : ray + 1], directions[ray : ray + 1])
        assert now.body[0] == 1
        np.testing.assert_allclose(now.distance[0], hits.distance[ray], atol=2e-3)
    surface = alone.surfaces(type(hits)(*(a[met] for a in hits)), origins[met], directions[met], times[met])
    assert (np.abs(surface.place) <= size / 2 + [0, 0, GROUND_MARGIN] + 0.01).all()


def test_two_bones_end_where_they_are_asked_to() -> None:
    for x, z in ((0.3, -0.7), (0.0, -0.6), (-0.25, -0.75)):
        hip, knee = two_bones(x, z, 0.5, 0.45)
        end = 0.5 * np.array([np.sin(hip), -np.cos(hip)]) + 0.45 * np.array([np.sin(knee), -np.cos(knee)])
        np.testing.assert_allclose(end, [x, z], atol=1e-9)
        assert hip > knee


def test_poses_with_other_triangles_are_refused() -> None:
    one = box((0, 0, 0), (1, 1, 1), material("cloth"))
    with pytest.raises(ValueError, match="equal triangles"):
        with_gait([one], 1.0)
