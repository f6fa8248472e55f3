"""Pooling of the features around a car into one vector: generalized means over cells, and sums over words."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.shapes import Bool, Float, Int

from .descriptor_settings import DescriptorSettings


def generalized_means(
    features: Float[Tensor, "p c"], cells: Int[Tensor, "p"], count: int, power: float
) -> Float[Tensor, "m 2*c"]:
    """Compute the generalized mean of the features of each cell (Radenović et al., TPAMI 2019, equation 3).

    It is defined for numbers that are not negative: of each channel what is above 0 and what is below 0 are pooled
    apart, first all channels of the one and then all of the other. An empty cell has zeros.

    Args:
        features: features.
        cells: number of the cell of each.
        count: number of cells.
        power: exponent; 1 is the mean.
    """
    parts = torch.cat([features, -features], dim=1).clamp(min=0)
    # Of the largest value, so that no power leaves the range of numbers.
    largest = parts.amax().clamp(min=torch.finfo(parts.dtype).tiny) if len(parts) else parts.new_ones(())
    sums = _sums((parts / largest) ** power, cells, count)
    number = torch.bincount(cells, minlength=count).clamp(min=1).to(sums.dtype)
    return largest * (sums / number[:, None]) ** (1 / power)


def place_descriptor(
    places: Float[Tensor, "p 3"],
    features: Float[Tensor, "p c"],
    settings: DescriptorSettings,
    vocabulary: Float[Tensor, "k d"] | None = None,
) -> Float[Tensor, "n"]:
    """Describe a place by the features around the car, as a vector of length one; zeros where there are none.

    Args:
        places: where the features are, metres in the LiDAR frame.
        features: features; each counts by its direction alone.
        settings: how they are pooled.
        vocabulary: words, of the layout "vlad".

    Raises:
        UserError: the layout is "vlad", and there are no words, or of other channels.
    """
    features = F.normalize(features.float(), dim=1)
    if settings.layout == "vlad":
        return _unit(_differences_to_words(features, vocabulary))
    if settings.layout == "whole":
        everywhere = torch.zeros(len(features), dtype=torch.long, device=features.device)
        return _unit(generalized_means(features, everywhere, 1, settings.power).flatten())
    rows, inside = row_of(places, settings)
    count, sectors = number_of_rows(settings), settings.sectors
    turn = torch.atan2(places[:, 1], places[:, 0]) / (2 * torch.pi)
    # The first sector is centered on the x axis.
    sector = (turn * sectors).round().long() % sectors
    cells = (rows * sectors + sector)[inside]
    pooled = generalized_means(features[inside], cells, count * sectors, settings.power)
    filled = torch.bincount(cells, minlength=count * sectors).clamp(max=1).to(pooled.dtype)
    grid = torch.cat([pooled, filled[:, None]], dim=1).unflatten(0, (count, sectors))
    if settings.heading == "any":
        grid = torch.fft.rfft(grid, dim=1, norm="forward").abs()[:, : settings.harmonics]
        # Each harmonic has a say, the mean of all sectors not the only one.
        grid = F.normalize(grid, dim=(0, 2))
    return _unit(grid.flatten())


def row_of(places: Float[Tensor, "p 3"], settings: DescriptorSettings) -> tuple[Int[Tensor, "p"], Bool[Tensor, "p"]]:
    """Return the ring of distance or the band of elevation that each place is in, and whether it is in any."""
    away = places[:, :2].norm(dim=1)
    if settings.layout == "polar":
        value, limits = away, settings.rings
        value = value.where(places[:, 2] >= settings.min_height, -torch.ones_like(value))
    else:
        value, limits = torch.rad2deg(torch.atan2(places[:, 2], away)), settings.bands
    edges = torch.tensor(limits, dtype=value.dtype, device=value.device)
    row = torch.bucketize(value, edges, right=True) - 1
    inside = (row >= 0) & (row < len(limits) - 1)
    return row.where(inside, torch.zeros_like(row)), inside


def number_of_rows(settings: DescriptorSettings) -> int:
    """Return the number of rings or bands."""
    return len(settings.rings if settings.layout == "polar" else settings.bands) - 1


def _differences_to_words(features: Tensor, vocabulary: Tensor | None) -> Tensor:
    if vocabulary is None or vocabulary.shape[1] != features.shape[1]:
        found = "none" if vocabulary is None else f"words of {vocabulary.shape[1]} channels"
        raise UserError(f"layout vlad: expected a vocabulary of {features.shape[1]} channels, found {found}")
    words = vocabulary.to(features)
    nearest = torch.cdist(features, words).argmin(dim=1)
    sums = _sums(features - words[nearest], nearest, len(words))
    # Each word counts alike, however many features it has (intra-normalization: Arandjelović and Zisserman, CVPR 2013).
    return F.normalize(sums, dim=1).flatten()


def _sums(rows: Tensor, cells: Tensor, count: int) -> Tensor:
    return rows.new_zeros(count, rows.shape[1]).index_add_(0, cells, rows)


def _unit(vector: Tensor) -> Tensor:
    return F.normalize(vector, dim=0)
