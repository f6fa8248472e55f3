"""Weighted sums of rows against a loop, and their transpose against scattering."""

import pytest
import torch

from ponderv2.geometry import add_to_rows, sum_rows

OFFSETS = (0, 1, 4, 5)


def _points(count, length):
    rows = torch.randint(0, length - max(OFFSETS), (count,), dtype=torch.int32)
    return rows, torch.randn(count, len(OFFSETS), dtype=torch.float64)


def _matrix(length, rows, weights):
    """The sparse matrix as a dense one, `[points, rows]`."""
    dense = torch.zeros(len(rows), length, dtype=torch.float64)
    for point, (row, point_weights) in enumerate(zip(rows.tolist(), weights, strict=True)):
        for offset, weight in zip(OFFSETS, point_weights, strict=True):
            dense[point, row + offset] += weight
    return dense


def test_sums_are_products_with_the_matrix_of_weights():
    rows, weights = _points(20, 30)
    table = torch.randn(30, 3, dtype=torch.float64)
    torch.testing.assert_close(sum_rows(table, rows, OFFSETS, weights), _matrix(30, rows, weights) @ table)


@pytest.mark.parametrize(("count", "length"), [(7, 30), (200, 30), (0, 30)], ids=["long table", "many points", "none"])
def test_adding_is_the_transposed_product_for_long_and_for_short_tables(count, length):
    rows, weights = _points(count, length)
    values = torch.randn(count, 3, dtype=torch.float64)
    added = add_to_rows(length, rows, OFFSETS, weights, values)
    torch.testing.assert_close(added, _matrix(length, rows, weights).T @ values)


@pytest.mark.parametrize("count", [7, 200])
def test_a_source_names_the_row_of_values_of_each_point(count):
    rows, weights = _points(count, 30)
    values, source = torch.randn(5, 3, dtype=torch.float64), torch.randint(0, 5, (count,), dtype=torch.int32)
    added = add_to_rows(30, rows, OFFSETS, weights, values, source)
    torch.testing.assert_close(added, add_to_rows(30, rows, OFFSETS, weights, values[source.long()]))


@pytest.mark.parametrize("count", [7, 200])
def test_what_lies_behind_the_last_row_is_left_out(count):
    rows, weights = torch.randint(0, 30, (count,), dtype=torch.int32), torch.randn(count, 4, dtype=torch.float64)
    rows[0] = 29
    values = torch.randn(count, 3, dtype=torch.float64)
    longer = add_to_rows(40, rows, OFFSETS, weights, values)
    assert longer[30:].abs().sum() > 0
    torch.testing.assert_close(add_to_rows(30, rows, OFFSETS, weights, values), longer[:30])
