"""Image features at the pixels of points."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Float, Int
from ponderv2.structures import MapCells

from .projection import MIN_DEPTH, in_image, project


def gather_image_features(
    points: Float[Tensor, "p 3"],
    maps: Sequence[Tensor],
    cells: Sequence[MapCells],
    lidar2img: Float[Tensor, "n 4 4"],
    image_size: Int[Tensor, "n 2"],
) -> Float[Tensor, "p c"]:
    """Interpolate feature maps bilinearly at the pixels of points: the mean over cameras that see a point, and maps.

    A camera sees a point that is in front of it and projects into its image without padding; that something nearer may
    hide it does not count. A point that no camera sees gets zeros.

    Args:
        points: points in the LiDAR frame, metres.
        maps: feature maps `[N, C, h, w]` of the N cameras, one for each level.
        cells: where the cells of each map lie in the image.
        lidar2img: LiDAR frame to pixels.
        image_size: (height, width) of each image without padding.
    """
    total = maps[0].new_zeros(len(points), maps[0].shape[1])
    count = points.new_zeros(len(points))
    for camera, matrix in enumerate(lidar2img):
        pixels, depth = project(points, matrix)
        seen = ((depth > MIN_DEPTH) & in_image(pixels, image_size[camera])).nonzero()[:, 0]
        count[seen] += 1
        for level, places in zip(maps, cells, strict=True):
            place = places.normalized(pixels[seen], tuple(level.shape[-2:]))
            found = F.grid_sample(
                level[camera, None], place[None, :, None].to(level.dtype), align_corners=False, padding_mode="border"
            )
            total = total.index_add(0, seen, found[0, :, :, 0].T)
    return total / (count.clamp(min=1) * len(maps))[:, None].to(total.dtype)


def sample_maps(
    maps: Float[Tensor, "b n c h w"], cells: MapCells, pixels: Float[Tensor, "b n r 2"]
) -> Float[Tensor, "b n r c"]:
    """Interpolate the map of each camera bilinearly at pixels (u, v) of its image; the border is repeated beyond it."""
    place = cells.normalized(pixels, tuple(maps.shape[-2:])).flatten(0, 1)[:, None]
    found = F.grid_sample(maps.flatten(0, 1), place.to(maps.dtype), align_corners=False, padding_mode="border")
    return found[:, :, 0].transpose(1, 2).unflatten(0, maps.shape[:2])
