"""Drives through places that were passed before: another time of day, another pass, the same streets."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from nuscenes.utils.splits import create_splits_scenes

from synthetic_nuscenes import Recording, SyntheticDataError, build, make_dataset
from synthetic_nuscenes.build import MOST_PASSES, place_of, plan_scene
from synthetic_nuscenes.command import add_arguments
from synthetic_nuscenes.light.weather import describe
from synthetic_nuscenes.output import dataset as module
from synthetic_nuscenes.output.benchmarks import BENCHMARKS
from synthetic_nuscenes.output.recording import scene_times
from synthetic_nuscenes.output.tables import version_and_names

TINY = Recording(seed=5, keyframes=2, width=32, height=18, passes=2)


@pytest.fixture
def empty_streets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Towns without traffic, which takes seconds to fill in."""
    monkeypatch.setattr(build, "populate", lambda plan: None)


def test_passes_of_a_place_go_the_same_way_at_other_times_of_day_in_other_traffic(empty_streets: None):
    begin, end = scene_times(4)
    plans = [plan_scene(77, scene, begin, end, passes=3) for scene in range(3)]
    assert [place_of(scene, 3) for scene in range(7)] == [0, 0, 0, 3, 3, 3, 6]
    assert len({weather.time_of_day for weather, _ in plans}) == 3
    # Traffic is drawn by generators of their own.
    assert len({plan.rng.integers(2**60) for _, plan in plans}) == 3
    (_, first), *later = plans
    for _, plan in later:
        assert plan.town.drivable.wkb == first.town.drivable.wkb
        times = np.linspace(begin, end, 8)
        way = shapely.LineString(first.ego.path.points)
        aside = shapely.distance(shapely.points(plan.ego.at(times)[:, :2]), way)
        assert (aside <= 0.41).all()
        assert plan.town.drivable.buffer(0.3).contains(shapely.LineString(plan.ego.at(times)[:, :2]))
        assert np.hypot(*(plan.ego.at(times)[0] - first.ego.at(times)[0])[:2]) < 5.0
        assert np.abs(plan.ego.at(times) - first.ego.at(times)).max() > 0.05


def test_without_the_option_drives_are_those_of_streets_v1(empty_streets: None):
    for scene, told in ((3, "Noon, rain, wet road"), (4, "Evening, cloudy")):
        weather, plan = plan_scene(0, scene, *scene_times(4))
        assert describe(weather) == told
        # What the tables of the benchmark say of both: the fifth drive goes exactly where the fourth went.
        np.testing.assert_allclose(plan.ego.at(np.zeros(1))[0, :2], [585.6634229612, 489.3773732272], atol=1e-6)


def test_the_help_says_what_scenes_count_and_which_seeds_are_taken():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    said = " ".join(parser.format_help().split())
    assert "drives, so places times --passes" in said
    assert version_and_names(4, 2)[0] == "v1.0-trainval"
    assert "more, or --passes above 1, a v1.0-trainval" in said
    assert "0 of streets-v1" in said
    assert "77 of revisits-v1" in said


def test_first_passes_are_to_be_found_and_later_ones_ask():
    benchmark = BENCHMARKS["revisits-v1"]
    version, names = version_and_names(benchmark.scenes, benchmark.passes)
    splits = create_splits_scenes()
    assert version == "v1.0-trainval"
    assert len(set(names)) == benchmark.scenes
    for scene, name in enumerate(names):
        assert name in splits["train" if place_of(scene, benchmark.passes) == scene else "val"]
    with pytest.raises(SyntheticDataError, match="have official names"):
        version_and_names(700, 2)


def test_no_town_of_it_is_one_of_another_benchmark():
    seeds = [benchmark.seed for benchmark in BENCHMARKS.values()]
    assert len(set(seeds)) == len(seeds)


def test_the_note_tells_of_passes_only_where_there_are_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "record_scene", lambda *_: {})
    one = replace(TINY, passes=1)
    assert make_dataset(tmp_path / "one", 2, one, workers=0, progress=False)
    assert '"passes"' not in (tmp_path / "one" / "synthetic.json").read_text()
    with pytest.raises(SyntheticDataError, match="passes None instead of 2"):
        make_dataset(tmp_path / "one", 2, TINY, workers=0, progress=False)
    assert make_dataset(tmp_path / "two", 2, TINY, workers=0, progress=False)
    with pytest.raises(SyntheticDataError, match="passes 2 instead of 1"):
        make_dataset(tmp_path / "two", 2, one, workers=0, progress=False)
    with pytest.raises(SyntheticDataError, match=f"passes: got {MOST_PASSES + 1}"):
        make_dataset(tmp_path / "six", 2, replace(TINY, passes=MOST_PASSES + 1), workers=0, progress=False)
