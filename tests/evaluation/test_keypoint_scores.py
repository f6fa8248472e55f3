"""Scores of key points equal plain loops; files keep what they were given, and others are refused."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ponderv2.errors import UserError
from ponderv2.evaluation.keypoint_files import SampleKeypoints, read_keypoints, write_keypoints
from ponderv2.evaluation.keypoint_scores import KeypointCounts, count_pair, on_static, total

RANGE = np.array([-10.0, -10.0, -3.0, 10.0, 10.0, 3.0])


def _sample(seed: int, count: int = 60, pose: np.ndarray | None = None) -> SampleKeypoints:
    rng = np.random.default_rng(seed)
    descriptors = rng.normal(size=(count, 6)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    places = rng.uniform(RANGE[:3], RANGE[3:], (count, 3)).astype(np.float32)
    scores = np.sort(rng.random(count).astype(np.float32))[::-1].copy()
    return SampleKeypoints(
        places, descriptors, scores, f"token{seed}", "lidar", "hash", _pose() if pose is None else pose, RANGE
    )


def _pose(angle: float = 0.0, x: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    matrix[0, 3] = x
    return matrix


def _by_loops(first, second, static, returns, radius) -> KeypointCounts:
    """The definition, point by point."""
    motion = np.linalg.inv(second.lidar2global) @ first.lidar2global
    moved = [(motion @ [*place, 1.0])[:3] for place in first.places]
    found = counted = matches = right = 0
    for k, place in enumerate(moved):
        inside = all(low <= value < high for low, value, high in zip(RANGE[:3], place, RANGE[3:], strict=True))
        seen = any(math.dist(place, other) <= radius for other in returns)
        if not (static[k] and inside and seen):
            continue
        counted += 1
        found += any(math.dist(place, other) <= radius for other in second.places)
        best = max(range(len(second.places)), key=lambda j: float(first.descriptors[k] @ second.descriptors[j]))
        back = max(range(len(moved)), key=lambda j: float(first.descriptors[j] @ second.descriptors[best]))
        matches += back == k
        right += back == k and math.dist(place, second.places[best]) <= radius
    return KeypointCounts(len(moved), int(sum(static)), counted, found, matches, right)


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_loops(seed):
    rng = np.random.default_rng(seed)
    first = _sample(seed, pose=_pose(0.3, 5.0))
    second = _sample(seed + 100, 80, pose=_pose(-0.2, 6.5))
    returns = rng.uniform(RANGE[:3], RANGE[3:], (400, 3))
    static = rng.random(60) < 0.8
    counts = count_pair(first, second, static, returns, radius=1.5)
    assert counts == _by_loops(first, second, static, returns, 1.5)
    assert 0 < counts.found < counts.counted < counts.static < 60
    assert counts.matches > 0


def test_the_same_world_from_elsewhere_is_found_wholly():
    first = _sample(0, pose=_pose(0.4, 2.0))
    inside = np.linalg.norm(first.places[:, :2], axis=1) < 5
    motion = np.linalg.inv(_pose(0.1, 3.0)) @ first.lidar2global
    moved = (first.places @ motion[:3, :3].T + motion[:3, 3]).astype(np.float32)
    second = SampleKeypoints(moved, first.descriptors, first.scores, "b", "lidar", "hash", _pose(0.1, 3.0), RANGE)
    scores = count_pair(first, second, inside, moved).scores()
    assert set(scores.values()) == {1}


def test_shares_of_sums_of_pairs_are_of_all_points_alike():
    summed = total([KeypointCounts(10, 10, 8, 4, 4, 1), KeypointCounts(10, 6, 2, 2, 2, 2)])
    expected = {"repeatability": 0.6, "repeatability_of_all": 6 / 16, "seen": 10 / 16}
    assert summed.scores() == expected | {"matching_accuracy": 0.5, "matching_score": 0.3}
    assert all(math.isnan(value) for value in total([]).scores().values())


def test_what_moves_or_may_move_is_not_static():
    box = np.array([[5.0, 0.0, 0.0, 4.0, 2.0, 2.0, math.pi / 2]])
    # The box is turned: 2 m along x, 4 m along y; the margin is 0.3 m.
    places = np.array([[5.0, 1.9, 0.0], [6.2, 0.0, 0.0], [6.4, 0.0, 0.0], [5.0, 0.0, 1.4]])
    for velocity, inside in (((3.0, 0.0), False), ((0.1, 0.0), True), ((math.nan, math.nan), False)):
        assert on_static(places, box, np.array([velocity])).tolist() == [inside, inside, True, True]
    assert on_static(places, box[:0], np.zeros((0, 2))).all()


def test_a_file_keeps_what_it_was_given(tmp_path):
    points = _sample(3)
    write_keypoints(tmp_path / "deeper" / "a.npz", points)
    read = read_keypoints(tmp_path / "deeper" / "a.npz")
    for name in ("places", "descriptors", "scores", "lidar2global", "point_cloud_range"):
        np.testing.assert_array_equal(getattr(read, name), getattr(points, name))
    assert (read.token, read.source, read.model) == ("token3", "lidar", "hash")
    with np.load(tmp_path / "deeper" / "a.npz", allow_pickle=False) as file:
        assert (file["places"].dtype, file["lidar2global"].dtype) == (np.float32, np.float64)


def _wrong(path, **changes):
    arrays = {name: getattr(_sample(0), name) for name in ("places", "descriptors", "scores", "lidar2global")}
    arrays |= {"point_cloud_range": RANGE}
    arrays |= {name: np.array(text) for name, text in (("token", "a"), ("source", "lidar"), ("model", "hash"))}
    np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(scores=None), "expected an array 'scores'"),
        (dict(model=None), "expected an array 'model', found .*export them again"),
        (dict(scores=np.full(60, 1.5)), "scores: expected 0 to 1, got 1.5 to 1.5"),
        (dict(lidar2global=np.zeros((4, 4))), "lidar2global: expected a rotation and a shift"),
        (dict(point_cloud_range=-RANGE), "point_cloud_range: expected x, y, z min below max"),
        (dict(source=np.array("radar")), "source: expected one of lidar, image, fusion, got 'radar'"),
        (dict(token=np.zeros(3)), "token: expected a text, got float64"),
        (
            dict(places=np.zeros((60, 2))),
            r"places: expected finite numbers of shape \(None, 3\), got float64 \(60, 2\)",
        ),
        (dict(scores=np.full(60, np.nan)), "scores: expected finite numbers"),
        (dict(places=np.zeros((4, 3))), r"differ in number: \[4, 60\]"),
        (dict(places=np.array([{}], dtype=object)), "no whole npz file"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path, changes, message):
    _wrong(tmp_path / "a.npz", **changes)
    with pytest.raises(UserError, match=message):
        read_keypoints(tmp_path / "a.npz")


def test_a_missing_or_cut_file_is_one_clear_error(tmp_path):
    with pytest.raises(UserError, match=r"a.npz: no such file; tools/export_keypoints.py writes it"):
        read_keypoints(tmp_path / "a.npz")
    write_keypoints(tmp_path / "a.npz", _sample(0))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="no whole npz file"):
        read_keypoints(tmp_path / "a.npz")
    np.save(tmp_path / "plain.npy", np.zeros(3))
    (tmp_path / "plain.npy").rename(tmp_path / "a.npz")
    with pytest.raises(UserError, match="no whole npz file"):
        read_keypoints(tmp_path / "a.npz")


def test_a_file_with_any_byte_wrong_is_read_or_one_clear_error(tmp_path):
    write_keypoints(tmp_path / "a.npz", _sample(0, 5))
    good = (tmp_path / "a.npz").read_bytes()
    refused = 0
    for place in range(0, len(good), 11):
        (tmp_path / "a.npz").write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        try:
            read_keypoints(tmp_path / "a.npz")
        except UserError:
            refused += 1
    assert refused > len(good) / 22


def test_descriptors_of_other_channels_are_refused():
    first, second = _sample(0), _sample(1)
    second = replace(second, descriptors=second.descriptors[:, :4])
    with pytest.raises(UserError, match="token0 and token1: expected descriptors of the same channels, got 6 and 4"):
        count_pair(first, second, np.ones(60, dtype=bool), first.places)
