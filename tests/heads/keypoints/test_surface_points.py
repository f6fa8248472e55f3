"""Thinning, pairs within a radius, sums over pairs: equal to plain statements of them."""

import pytest
import torch

from ponderv2.heads.keypoints import candidate_centers, pairs_within, thin_points
from ponderv2.heads.keypoints.surface_points import max_of_pairs, mean_of_pairs, softmax_of_pairs
from ponderv2.structures import VoxelGrid

GRID = VoxelGrid((-8.0, -8.0, -2.0, 8.0, 8.0, 2.0), (8, 8, 2))


def _cloud(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([18.0, 18.0, 4.5])


@pytest.mark.parametrize("radius", [0.4, 1.0, 30.0])
def test_pairs_are_those_of_all_distances(radius):
    centers, points = _cloud(40, 1), _cloud(300, 2)
    rows, near = pairs_within(centers, points, radius)
    apart = (centers[:, None] - points).square().sum(dim=2)
    assert set(zip(rows.tolist(), near.tolist(), strict=True)) == {
        tuple(pair) for pair in (apart <= radius * radius).nonzero().tolist()
    }
    assert len(rows) == int((apart <= radius * radius).sum())
    assert rows.tolist() == sorted(rows.tolist())


def test_pairs_of_nothing_are_none():
    for centers, points in ((_cloud(0), _cloud(5)), (_cloud(5), _cloud(0))):
        assert [len(part) for part in pairs_within(centers, points, 1.0)] == [0, 0]
    assert candidate_centers(_cloud(0), 1.0, 1.0).shape == (0, 3)


def test_thinning_leaves_the_mean_of_each_cell_in_the_range():
    points = _cloud(500)
    cells: dict[tuple, list] = {}
    for point in points[GRID.contains(points)].double():
        cells.setdefault(tuple(((point + torch.tensor([8.0, 8.0, 2.0])) / 0.5).long().tolist()), []).append(point)
    expected = torch.stack([torch.stack(members).mean(dim=0) for _, members in sorted(cells.items())])
    assert len(expected) < int(GRID.contains(points).sum()) < len(points)
    torch.testing.assert_close(thin_points(points, GRID, 0.5).double(), expected, atol=1e-5, rtol=0)


def test_a_candidate_lies_where_the_mean_of_its_neighborhood_is_whichever_cells_its_points_are_in():
    cluster = torch.tensor([[0.0, 0.0, 0.0], [0.3, 0.1, 0.2], [-0.2, 0.2, 0.1]])
    for shift in (0.0, 0.35, 0.9):
        centers = candidate_centers(cluster + 4 + shift, 1.0, 1.0)
        assert torch.allclose(centers, cluster.mean(dim=0) + 4 + shift, atol=1e-5)


def test_sums_over_pairs_are_those_of_each_row():
    rows = torch.tensor([0, 0, 2, 2, 2])
    values = torch.rand(5, 4)
    means, highest = mean_of_pairs(values, rows, 4), max_of_pairs(values, rows, 4)
    weights = softmax_of_pairs(values[:, 0], rows, 4)
    for row, members in ((0, [0, 1]), (2, [2, 3, 4])):
        torch.testing.assert_close(means[row], values[members].mean(dim=0))
        torch.testing.assert_close(highest[row], values[members].amax(dim=0))
        torch.testing.assert_close(weights[members], values[members, 0].softmax(dim=0))
    assert means[[1, 3]].abs().sum() == highest[[1, 3]].abs().sum() == 0


def test_the_softmax_over_pairs_has_the_slopes_of_the_formula():
    rows = torch.tensor([0, 0, 1, 1, 1])
    logits = torch.randn(5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: softmax_of_pairs(values, rows, 2), (logits,))
