"""Range filter and grid sampling: what is kept, what goes along, and the inverse map against slow references."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet3d.structures import LiDARPoints

from ponderv2.datasets import GridSampling, LidarRangeFilter, UnifiedRotScaleTransFlip
from ponderv2.datasets.transforms.inverse_map import begin_inverse_map, complete_inverse_map
from ponderv2.datasets.transforms.point_selection import grid_cells
from ponderv2.errors import UserError

RANGE = (-2.0, -2.0, -1.0, 2.0, 2.0, 1.0)


def a_sample(points: np.ndarray, evaluation: bool = False) -> dict:
    """Points with a label each: its place in the file."""
    points = np.asarray(points, dtype=np.float32)
    results = {
        "points": LiDARPoints(points.copy(), points_dim=points.shape[1]),
        "pts_semantic_mask": np.arange(len(points)),
        "key_frame_rows": np.arange(len(points)),
        "lidar_aug": np.eye(4),
    }
    if evaluation:
        begin_inverse_map(results)
    return results


def cloud(seed: int, count: int = 400, spread: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.uniform(-spread, spread, (count, 3)), rng.uniform(0, 255, (count, 2))], axis=1)


def rows(results: dict) -> np.ndarray:
    return results["points"].tensor.numpy()


def cells_by_hand(points: np.ndarray, size: float) -> dict[tuple, list[int]]:
    found: dict[tuple, list[int]] = {}
    for k, point in enumerate(points.astype(np.float32).astype(np.float64)):
        found.setdefault(tuple(np.floor(point[:3] / size).astype(int)), []).append(k)
    return found


def test_the_range_is_half_open_and_labels_go_along():
    points = [[-2, -2, -1, 0, 0], [2, 0, 0, 0, 0], [1.9, 1.9, 0.9, 0, 0], [0, 0, 1, 0, 0], [0, 0, -1.01, 0, 0]]
    results = LidarRangeFilter(RANGE)(a_sample(points))
    assert results["pts_semantic_mask"].tolist() == [0, 2]
    np.testing.assert_array_equal(rows(results), np.float32(points)[[0, 2]])


def test_a_range_without_any_point_is_an_error():
    with pytest.raises(UserError, match="none of 400 points is left"):
        LidarRangeFilter((50, 50, 50, 60, 60, 60))(a_sample(cloud(0)))


@pytest.mark.parametrize("wrong", [(-1, -1, -1, 1, 1), (1, -1, -1, -1, 1, 1), (0, 0, 0, 1, 1, 0)])
def test_what_is_no_range_is_refused(wrong):
    with pytest.raises(UserError, match=r"point_cloud_range: expected lower x, y, z, upper x, y, z"):
        LidarRangeFilter(wrong)


@given(st.integers(0, 50), st.sampled_from([0.3, 0.5, 1.0, 7.0]))
def test_one_point_of_every_occupied_cell_is_kept(seed, size):
    points = cloud(seed, 200)
    for evaluation in (False, True):
        kept = GridSampling(size)(a_sample(points, evaluation))["pts_semantic_mask"]
        by_hand = cells_by_hand(points, size)
        cell_of = {k: cell for cell, members in by_hand.items() for k in members}
        assert sorted(cell_of[k] for k in kept.tolist()) == sorted(by_hand)


def test_training_keeps_a_random_point_of_a_cell():
    points = np.concatenate([np.full((4, 3), 0.01), np.arange(8).reshape(4, 2)], axis=1)
    np.random.seed(0)
    kept = [GridSampling(0.05)(a_sample(points))["pts_semantic_mask"].item() for _ in range(400)]
    counts = np.bincount(kept, minlength=4)
    # 100 each, with a deviation of 8.7.
    assert (np.abs(counts - 100) < 45).all()


def test_evaluation_keeps_the_point_nearest_to_the_center():
    points = [[0.49, 0.5, 0.5, 0, 0], [0.1, 0.5, 0.5, 0, 0], [0.5, 0.5, 0.505, 0, 0], [-0.5, 0.2, 0.2, 0, 0]]
    results = GridSampling(1.0)(a_sample(points, evaluation=True))
    assert results["pts_semantic_mask"].tolist() == [3, 2]
    assert complete_inverse_map(results).tolist() == [1, 1, 1, 0]


@given(st.integers(0, 50))
def test_what_is_kept_for_evaluation_does_not_depend_on_the_order_of_points(seed):
    points = np.round(cloud(seed, 200), 1)
    # Twice the same place, with another intensity: only the features can decide.
    points = np.concatenate([points, points + np.eye(5)[3]])
    order = np.random.default_rng(seed).permutation(len(points))
    first = GridSampling(0.5)(a_sample(points, evaluation=True))
    second = GridSampling(0.5)(a_sample(points[order], evaluation=True))
    np.testing.assert_array_equal(rows(first), rows(second))
    np.testing.assert_array_equal(complete_inverse_map(first)[order], complete_inverse_map(second))


@given(st.integers(0, 50))
def test_the_inverse_map_leads_to_the_cells_own_row_and_beyond_the_range_to_the_nearest(seed):
    points = cloud(seed, 300)
    results = a_sample(points, evaluation=True)
    np.random.seed(seed)
    results = UnifiedRotScaleTransFlip(rotation=(-3, 3), scale=(0.9, 1.1), flip_x=0.5)(results)
    moved = rows(results).copy()
    results = GridSampling(0.4)(LidarRangeFilter(RANGE)(results))
    inverse, kept = complete_inverse_map(results), rows(results)
    inside = ((moved[:, :3] >= RANGE[:3]) & (moved[:, :3] < RANGE[3:])).all(axis=1)
    assert 0 < inside.sum() < 300
    cell_of_kept = {cell: k for cell, (k,) in cells_by_hand(kept, 0.4).items()}
    for cell, members in cells_by_hand(moved, 0.4).items():
        for k in members:
            if inside[k]:
                assert inverse[k] == cell_of_kept[cell]
    for k in np.flatnonzero(~inside):
        distances = np.linalg.norm(kept[:, :3] - moved[k, :3], axis=1)
        assert distances[inverse[k]] == pytest.approx(distances.min(), abs=1e-5)


def test_points_that_are_not_finite_take_the_row_of_a_neighbor_in_the_file():
    results = a_sample([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0]])
    results["key_frame_rows"] = np.array([-1, 0, -1, -1, 1, -1])
    begin_inverse_map(results)
    assert complete_inverse_map(results).tolist() == [0, 0, 0, 1, 1, 1]


def test_a_map_that_a_transform_did_not_keep_is_noticed():
    results = a_sample(cloud(0), evaluation=True)
    results["points"] = results["points"][torch.arange(100)]
    for use in (complete_inverse_map, GridSampling(0.5)):
        with pytest.raises(ValueError, match="leads to 400 points and there are 100"):
            use(results)


@pytest.mark.parametrize("wrong", [0.0, -0.05, float("nan")])
def test_a_size_that_is_none_is_refused(wrong):
    with pytest.raises(UserError, match="cell_size: expected metres above 0"):
        GridSampling(wrong)


@pytest.mark.parametrize("far", [1e6, 1e9, 1e30])
@pytest.mark.parametrize("evaluation", [False, True])
def test_one_stray_point_changes_nothing_for_the_others(far, evaluation):
    points = cloud(0)
    stray = np.array([*points, [far, far, far, 0, 0]])
    keys, place = grid_cells(points[:, :3], 0.05)
    with_stray, placed = grid_cells(stray[:, :3], 0.05)
    np.testing.assert_array_equal(np.argsort(with_stray[:-1], kind="stable"), np.argsort(keys, kind="stable"))
    np.testing.assert_array_equal(with_stray[:-1, None] == with_stray[:-1], keys[:, None] == keys)
    np.testing.assert_array_equal(placed[:-1], place)
    results = GridSampling(0.5)(a_sample(stray, evaluation=evaluation))
    if evaluation:
        inverse = complete_inverse_map(results)
        assert len(inverse) == len(stray)
        assert 0 <= inverse.min() <= inverse.max() < len(results["points"])


def test_of_a_sweep_that_is_out_of_range_the_nearest_point_predicts_all():
    far = cloud(0) + np.array([500, 0, 0, 0, 0])
    results = LidarRangeFilter(RANGE)(a_sample(far, evaluation=True))
    assert rows(results)[0, 0] == far[:, 0].min().astype(np.float32)
    assert complete_inverse_map(results).tolist() == [0] * len(far)
    with pytest.raises(UserError, match=r"none of .* points is left"):
        LidarRangeFilter(RANGE)(a_sample(far))
