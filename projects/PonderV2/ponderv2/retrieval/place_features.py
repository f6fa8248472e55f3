"""What a model knows of the places around the car: its volume where LiDAR points are, and its maps of the cameras."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.geometry import rays_through_pixels, sample_volume
from ponderv2.models import ImageFeaturePretrainer, RenderingPretrainer
from ponderv2.shapes import Float
from ponderv2.structures import SensorBatch, VoxelGrid

ASSUMED_DISTANCE = 20.0
"""Distance (m) at which what a pixel sees is put: cameras are apart from the LiDAR, and pictures know no distances."""


@dataclass(frozen=True)
class PlaceFeatures:
    """Features of places around a car.

    Attributes:
        places: metres in the LiDAR frame.
        features: their features.
    """

    places: Float[Tensor, "p 3"]
    features: Float[Tensor, "p c"]


@torch.no_grad()
def lidar_features(model: RenderingPretrainer, inputs: SensorBatch, channels: str = "image") -> list[PlaceFeatures]:
    """Compute the features of the volume in each cell with LiDAR points, at the mean of these, for each sample.

    Args:
        model: the model.
        inputs: batch with points.
        channels: "image" for features as the image branch has them, "volume" for the volume's own.

    Raises:
        UserError: the batch has no points, or the model renders no features of images.
    """
    if inputs.points is None:
        raise UserError("retrieval by LiDAR: the batch has no points; put LoadLidarSweeps into the pipeline")
    if channels == "image" and not isinstance(model, ImageFeaturePretrainer):
        raise UserError(
            f"channels: expected 'volume' of a {type(model).__name__}, which has no others, got {channels!r}"
        )
    volume = model.encode(inputs)
    found = []
    for index, points in enumerate(inputs.points):
        places = occupied_places(points[:, :3], volume.grid)
        own = volume.with_data(volume.data[index : index + 1])
        if channels == "image":
            features = model.volume_features(own, places[None])[0]
        else:
            features = sample_volume(own, places[None])[0]
        found.append(PlaceFeatures(places, features))
    return found


def occupied_places(points: Float[Tensor, "p 3"], grid: VoxelGrid) -> Float[Tensor, "q 3"]:
    """Return the mean of the points (metres) in each cell of a grid that has any."""
    cell, inside = grid.cell_of(points)
    nx, ny, _ = grid.size
    number = (cell[:, 2] * ny + cell[:, 1]) * nx + cell[:, 0]
    _, row = number[inside].unique(return_inverse=True)
    count = int(row.max()) + 1 if len(row) else 0
    sums = points.new_zeros(count, 3).index_add_(0, row, points[inside])
    return sums / torch.bincount(row, minlength=count)[:, None].to(sums.dtype)


def height_features(points: Float[Tensor, "p c"], grid: VoxelGrid) -> PlaceFeatures:
    """Tell of each cell with LiDAR points in which layer of the grid it is, and nothing else: what a network must beat.

    Args:
        points: points; the first columns are x, y and z, metres.
        grid: cells of the volume.
    """
    places = occupied_places(points[:, :3], grid)
    cell, _ = grid.cell_of(places)
    return PlaceFeatures(places, torch.nn.functional.one_hot(cell[:, 2], grid.size[2]).to(places.dtype))


@torch.no_grad()
def image_features(
    model: RenderingPretrainer, inputs: SensorBatch, data_samples: list | None = None
) -> list[PlaceFeatures]:
    """Compute the features of the image branch for all cells of its maps, for each sample.

    Raises:
        UserError: the model has no image branch, or the batch no images.
    """
    if not isinstance(model, ImageFeaturePretrainer):
        raise UserError(
            f"retrieval by images: expected the recipe of a pre-training with image features, found a "
            f"{type(model).__name__}"
        )
    found = model.image_features(inputs, data_samples)
    maps, cells = found.maps[0], found.cells[0]
    height, width = maps.shape[-2:]
    v, u = torch.meshgrid(
        torch.arange(height, device=maps.device), torch.arange(width, device=maps.device), indexing="ij"
    )
    pixels = (torch.stack([u, v], dim=-1).flatten(0, 1) + 0.5) * cells.stride - (0.5 + cells.lead)
    pixels = pixels.to(maps.dtype).expand(*maps.shape[:2], -1, -1)
    origins, directions = rays_through_pixels(pixels, inputs.rig.img2lidar.to(maps.dtype))
    places = origins + ASSUMED_DISTANCE * directions
    # Cells of the padding, beyond the picture, show nothing.
    shown = (pixels <= inputs.rig.image_size.flip(-1)[:, :, None] - 1).all(dim=-1)
    features = maps.flatten(3).transpose(2, 3)
    return [PlaceFeatures(places[b][shown[b]], features[b][shown[b]]) for b in range(len(maps))]
