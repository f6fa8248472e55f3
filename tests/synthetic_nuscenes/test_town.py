"""Towns: their roads lead somewhere, their ground has no gaps, their drives are smooth."""

import os
import subprocess
import sys

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from synthetic_nuscenes.build import place_of
from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.paths import PathBuilder, curve, sampled
from synthetic_nuscenes.geometry.surfaces import level, mounds, triangles
from synthetic_nuscenes.output.tables import version_and_names
from synthetic_nuscenes.seeds import Purpose, generator
from synthetic_nuscenes.town.lots import STALL
from synthetic_nuscenes.town.town import Town
from synthetic_nuscenes.town.town_drawing import STYLES, lay_out_town


@pytest.fixture(scope="module", params=list(STYLES))
def town(request: pytest.FixtureRequest) -> Town:
    return lay_out_town(np.random.default_rng(3), request.param)


def test_lanes_and_the_ways_through_junctions_lie_on_the_road(town: Town) -> None:
    network, road = town.network, town.drivable.buffer(0.3)
    for lane in network.lanes:
        assert shapely.contains(road, shapely.LineString(lane.path.points)), lane
        for other, _ in network.successors(lane):
            way = network.connection(lane, other)
            assert road.contains(shapely.LineString(way.points)), (lane.number, other.number)
            np.testing.assert_allclose(way.points[[0, -1]], [lane.path.points[-1], other.path.points[0]], atol=1e-6)


def test_a_drive_that_stays_never_leaves_the_town(town: Town) -> None:
    rng, network = np.random.default_rng(0), town.network
    inner = [lane for lane in network.lanes if network.junctions[network.end(lane)].kind != "exit"]
    for lane in inner:
        path = network.drive(rng, lane, 0.5 * lane.path.length, 400.0, stay=True)
        assert path.length >= 400
        assert town.drivable.buffer(0.3).contains(shapely.LineString(path.points))
        # No bend is narrower than a car can drive, and no heading jumps.
        assert np.abs(path.curvature(np.arange(1.0, path.length - 1))).max() < 1 / 2.5
        assert np.abs(np.diff(path.headings)).max() < 0.15


def test_the_ground_is_road_or_block_and_never_both(town: Town) -> None:
    bounds = shapely.box(0, 0, *town.size)
    blocks = shapely.union_all([block.outline for block in town.blocks])
    assert blocks.intersection(town.drivable).area < 1e-3 * bounds.area
    assert bounds.difference(blocks).difference(town.drivable).area < 1e-3 * bounds.area
    # One can drive from everywhere to everywhere.
    assert isinstance(town.drivable, Polygon)


def test_stalls_lie_apart_inside_their_lots(town: Town) -> None:
    for lot in town.lots:
        length, width = STALL[lot.kind]
        places = [
            shapely.affinity.translate(
                shapely.affinity.rotate(shapely.box(-length / 2, -width / 2, length / 2, width / 2), h, (0, 0), True),
                x,
                y,
            )
            for x, y, h in lot.stalls
        ]
        assert all(lot.outline.buffer(0.6).contains(place) for place in places)
        assert sum(p.area for p in places) == pytest.approx(shapely.union_all(places).area, rel=0.02)


def test_crossings_lead_from_kerb_to_kerb(town: Town) -> None:
    islands = [block.outline for block in town.blocks if block.kind == "island"]
    road = shapely.union_all([town.drivable, *islands]).buffer(0.1)
    for crossing in town.crossings:
        ends = shapely.points(crossing.path.points[[0, -1]])
        assert (shapely.distance(ends, road.boundary) < 1.0).all()
        assert road.contains(shapely.LineString(crossing.path.points[[0, -1]]))


def test_equal_seeds_give_equal_towns_and_others_differ() -> None:
    towns = [lay_out_town(np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert towns[0].drivable.wkb == towns[1].drivable.wkb
    assert towns[0].drivable.wkb != towns[2].drivable.wkb


def test_a_drive_revisits_the_place_of_another_and_never_one_for_validation() -> None:
    _, names = version_and_names(125)
    assert len({place_of(scene) for scene in range(125)}) == 100
    validation = [k for k in range(125) if k % 5 == 1]
    assert len(set(names)) == 125
    for scene in range(125):
        if place_of(scene) != scene:
            assert not {scene, place_of(scene)} & set(validation)


def test_triangles_cover_a_polygon_with_holes_and_face_up() -> None:
    ground = shapely.box(0, 0, 40, 30).difference(shapely.Point(15, 15).buffer(6)).difference(shapely.box(30, 5, 35, 9))
    vertices, faces = triangles(ground)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert (area > 0).all()
    assert area.sum() == pytest.approx(ground.area)
    (flat,), (risen,) = (
        level(ground, 0.2, material("lawn")),
        mounds(np.random.default_rng(0), ground, 0.2, 0.5, material("lawn")),
    )
    assert (flat.normals[..., 2] > 0.999).all()
    assert (risen.normals[..., 2] > 0.5).all()
    assert risen.vertices[:, 2].min() + 1e-9 >= 0.2
    edge = shapely.distance(shapely.points(risen.vertices[:, :2]), ground.boundary) < 1e-6
    np.testing.assert_allclose(risen.vertices[edge, 2], 0.2)


@settings(max_examples=40, deadline=None)
@given(st.floats(4, 40), st.floats(-3, 3), st.floats(-2, 2))
def test_a_parallel_path_keeps_its_distance(radius: float, angle: float, offset: float) -> None:
    if abs(angle) < 0.2:
        angle = 0.2
    path = PathBuilder(3.0, -2.0, 0.4).straight(6.0).turn(angle, radius).build()
    beside = path.beside(offset)
    line = shapely.LineString(path.points)
    apart = shapely.distance(line, shapely.points(beside.points))
    np.testing.assert_allclose(apart, abs(offset), atol=0.02)
    assert path.reversed().length == pytest.approx(path.length)


def test_a_curve_starts_and_ends_as_it_should() -> None:
    start, end = np.array([1.0, 2.0, 0.3]), np.array([15.0, 9.0, 1.4])
    path = curve(start, end)
    np.testing.assert_allclose(path.at(np.array([0.0]))[0], start, atol=0.02)
    np.testing.assert_allclose(path.at(np.array([path.length]))[0], end, atol=0.02)


def test_a_path_needs_two_different_points() -> None:
    with pytest.raises(ValueError, match="two different points"):
        sampled(np.zeros((3, 2)))


PRINT_TOWNS = """
import hashlib
from synthetic_nuscenes.seeds import Purpose, generator
from synthetic_nuscenes.town.town_drawing import lay_out_town
for scene in (5, 6, 8):
    town = lay_out_town(generator(Purpose.TOWN, 0, scene))
    print(hashlib.sha256(town.drivable.wkb).hexdigest(), [len(lot.stalls) for lot in town.lots])
"""


def test_a_cpu_with_other_last_bits_draws_the_same_towns() -> None:
    # numpy then takes other routines for sines and the like, as it does on an older CPU.
    older = {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX2 FMA3"}
    towns = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PRINT_TOWNS],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | features,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for features in ({}, older)
    ]
    assert towns[0] == towns[1]
    assert len(towns[0].splitlines()) == 3


def test_no_lot_is_under_a_bridge(town: Town) -> None:
    for bridge in town.bridges:
        assert not any(bridge.ground.intersects(lot.outline) for lot in town.lots)


def test_generators_of_different_purposes_and_numbers_differ() -> None:
    numbers = [(0, 0), (1, 0), (0, 1)]
    drawn = {generator(purpose, *key).integers(2**62) for purpose in Purpose for key in numbers}
    assert len(drawn) == 3 * len(Purpose)
    with pytest.raises(ValueError, match="expected 0 to"):
        generator(Purpose.TOWN, 2**32, 0)
