"""Label fractions of frames, scenes and points: stable, nested, never empty, in the order of time."""

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponderv2.datasets import PonderNuScenesDataset, choose_fraction
from ponderv2.datasets.label_fractions import FRACTIONS, choose_points
from tests.factories.keyframe import INFO_NAME


def frame_entries(scenes: int = 20, length: int = 40) -> list[dict]:
    return [
        {"token": f"sample {s} {k}", "scene_token": f"scene {s}", "timestamp": float(100 * s + k)}
        for s in range(scenes)
        for k in range(length)
    ]


def tokens(frames: list[dict]) -> list[str]:
    return [frame["token"] for frame in frames]


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_so_many_frames_are_taken(fraction):
    assert len(choose_fraction(frame_entries(), fraction)) == round(800 * fraction)


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_so_many_whole_scenes_are_taken(fraction):
    chosen = choose_fraction(frame_entries(), fraction, by="scenes")
    scenes = {frame["scene_token"] for frame in chosen}
    assert len(scenes) == max(1, round(20 * fraction))
    assert len(chosen) == 40 * len(scenes)


@given(
    st.sampled_from(["frames", "scenes"]),
    st.integers(0, 5),
    st.floats(0.001, 1),
    st.floats(0.001, 1),
)
def test_a_smaller_fraction_is_part_of_every_larger_one_and_the_order_is_kept(by, seed, first, second):
    frames = frame_entries(scenes=6, length=5)
    small, large = (choose_fraction(frames, f, by, seed) for f in sorted((first, second)))
    assert 0 < len(small) <= len(large)
    assert set(tokens(small)) <= set(tokens(large))
    times = [frame["timestamp"] for frame in large]
    assert times == sorted(times)


def test_the_shares_of_a_benchmark_of_400_frames_are_nested():
    frames = frame_entries(scenes=100, length=4)
    chosen = [set(tokens(choose_fraction(frames, share, seed=2))) for share in (0.01, 0.05, 0.1, 0.25, 1.0)]
    assert [len(part) for part in chosen] == [4, 20, 40, 100, 400]
    assert all(small < large for small, large in pairwise(chosen))


@pytest.mark.parametrize("by", ["frames", "scenes"])
def test_the_choice_hangs_on_the_seed_alone(by):
    frames = frame_entries()
    first = choose_fraction(frames, 0.1, by, seed=1)
    assert choose_fraction(frames, 0.1, by, seed=1) == first
    assert choose_fraction(frames, 0.1, by, seed=2) != first
    turned = choose_fraction(frames[::-1], 0.1, by, seed=1)
    assert turned == first[::-1]


def test_the_choice_is_the_same_on_every_machine():
    # Written down once: papers report numbers for one choice.
    assert tokens(choose_fraction(frame_entries(scenes=3, length=4), 0.25)) == [
        "sample 0 0",
        "sample 0 2",
        "sample 1 3",
    ]


def test_everything_needs_no_tokens():
    assert choose_fraction([{}, {}], 1.0) == [{}, {}]


def test_frames_without_a_scene_are_refused_with_what_to_do():
    frames = frame_entries(scenes=1)
    del frames[3]["scene_token"]
    with pytest.raises(
        ValueError, match=r"needs the key 'scene_token', which 1 of 40 .* sample 0 3; .*create_data\.py"
    ):
        choose_fraction(frames, 0.5, by="scenes")


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.1, 10])
def test_a_share_outside_of_zero_to_one_is_refused(fraction):
    with pytest.raises(ValueError, match=rf"fraction: expected a share in \(0, 1\], got {fraction}"):
        choose_fraction(frame_entries(), fraction)


def test_another_unit_is_refused():
    with pytest.raises(ValueError, match=r"fraction_by: expected 'frames' or 'scenes', got 'boxes'"):
        choose_fraction(frame_entries(), 0.5, by="boxes")


@pytest.fixture
def ten_frames(frame_root: Path, tmp_path: Path) -> Path:
    """Folder of an info file with two scenes of five frames each."""
    info = pickle.loads((frame_root / INFO_NAME).read_bytes())
    frame = info["data_list"][0]
    frames = [
        frame | {"token": f"at {k}", "scene_token": f"scene {k // 5}", "timestamp": float(k)} for k in (7, 3, 1, 9, 0)
    ]
    frames += [
        frame | {"token": f"at {k}", "scene_token": f"scene {k // 5}", "timestamp": float(k)} for k in (2, 8, 4, 6, 5)
    ]
    (tmp_path / "infos.pkl").write_bytes(pickle.dumps(info | {"data_list": frames}))
    return tmp_path


def times_of(root: Path, **kwargs) -> list[float]:
    dataset = PonderNuScenesDataset(data_root=str(root), ann_file="infos.pkl", pipeline=[], **kwargs)
    return [dataset.get_data_info(k)["timestamp"] for k in range(len(dataset))]


def test_a_data_set_takes_its_fraction_in_the_order_of_time(ten_frames):
    times = times_of(ten_frames, fraction=0.5)
    assert len(times) == 5
    assert times == sorted(times)
    assert set(times_of(ten_frames, fraction=0.2)) < set(times)
    assert times_of(ten_frames, fraction=0.5, fraction_seed=1) != times


def test_a_data_set_takes_whole_scenes(ten_frames):
    assert times_of(ten_frames, fraction=0.5, fraction_by="scenes") in ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])


def test_the_interval_is_taken_of_the_fraction(ten_frames):
    assert times_of(ten_frames, fraction=0.5, load_interval=2) == times_of(ten_frames, fraction=0.5)[::2]


# ---------------------------------------------------------------------------------------------- shares of points


@given(st.integers(0, 5), st.floats(0.001, 1), st.floats(0.001, 1))
def test_a_smaller_share_of_points_is_part_of_every_larger_one(seed, first, second):
    labeled = np.random.default_rng(seed).random(500) < 0.7
    small, large = (choose_points(labeled, f, "frame", seed) for f in sorted((first, second)))
    assert small.sum() == max(1, round(min(first, second) * labeled.sum()))
    assert not (small & ~large).any()
    assert not (large & ~labeled).any()


def test_the_choice_of_points_hangs_on_frame_and_seed_and_is_the_same_on_every_machine():
    everything = np.ones(1000, dtype=bool)
    # Written down once: papers report numbers for one choice.
    assert np.flatnonzero(choose_points(everything, 0.005, "frame", 0)).tolist() == [1, 216, 440, 632, 864]
    assert not np.array_equal(*(choose_points(everything, 0.1, "frame", seed) for seed in (0, 1)))
    assert not np.array_equal(*(choose_points(everything, 0.1, token, 0) for token in ("frame", "other")))


def test_chosen_points_are_spread_evenly():
    chosen = choose_points(np.ones(100_000, dtype=bool), 0.1, "frame")
    # 1,000 in each tenth, with a deviation of 28.
    assert (np.abs(chosen.reshape(10, -1).sum(axis=1) - 1000) < 140).all()


def test_without_labels_no_point_is_chosen():
    assert not choose_points(np.zeros(10, dtype=bool), 0.5, "frame").any()


def test_a_share_of_points_outside_of_zero_to_one_is_refused():
    with pytest.raises(ValueError, match=r"fraction: expected a share in \(0, 1\], got 1.5"):
        choose_points(np.ones(10, dtype=bool), 1.5, "frame")
