"""Features of one place in several pictures: of cameras that overlap, and of neighboring key frames."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.geometry import MIN_DEPTH, in_image, project, sample_maps, transform_points
from ponderv2.shapes import Bool, Float
from ponderv2.structures import CameraRig, MapCells, PastBatch, RayBatch


def ray_ends(rays: RayBatch) -> Float[Tensor, "b n r 3"]:
    """Return the places (metres) of the LiDAR returns that rays go to; of a ray without one, its origin."""
    return rays.origins + rays.directions * rays.depth[..., None]


def other_views(
    points: Float[Tensor, "b n r 3"],
    maps: Float[Tensor, "b n c h w"],
    cells: MapCells,
    rig: CameraRig,
    own: bool = False,
) -> Iterator[tuple[Float[Tensor, "b n r c"], Bool[Tensor, "b n r"]]]:
    """Read the maps of other cameras at places that each camera sees.

    Args:
        points: places that each of the N cameras sees, in the LiDAR frame of the rig.
        maps: map of each camera of the rig.
        cells: where the cells of the maps lie.
        rig: the cameras.
        own: whether the camera of the same number counts as another one, as it does in another key frame.

    Yields:
        For each choice of another camera: its features at the places, and which places lie in its image. That something
        nearer may hide a place does not count here.
    """
    for shift in range(0 if own else 1, maps.shape[1]):
        pixels, depth = project(points, rig.lidar2img.roll(-shift, dims=1))
        seen = (depth > MIN_DEPTH) & in_image(pixels, rig.image_size.roll(-shift, dims=1))
        yield sample_maps(maps.roll(-shift, dims=1), cells, pixels), seen


def moved_to(points: Float[Tensor, "b n r 3"], history: tuple[PastBatch, ...]) -> list[Float[Tensor, "b n r 3"]]:
    """Return places of the current LiDAR frame in that of each earlier key frame, as if nothing moved."""
    moved = []
    for past in reversed(history):
        points = transform_points(past.motion[:, None].expand(-1, points.shape[1], -1, -1), points)
        moved.append(points)
    return moved[::-1]


def agreement(
    own: Float[Tensor, "b n r c"],
    judged: Float[Tensor, "b n r c"],
    views: list[tuple[Float[Tensor, "b n r c"], Bool[Tensor, "b n r"]]],
    valid: Bool[Tensor, "b n r"],
    least: float = -1.0,
    otherwise: float = 1.0,
) -> Float[Tensor, ""]:
    """Compute the mean cosine of the features of one place in two views.

    Args:
        own: features of the places in the camera of their ray.
        judged: features in the same views that tell whether a pair shows the same: those of `views` beside.
        views: features of the places in other views, and where they count.
        valid: which places exist.
        least: smallest cosine of `judged` and a view's features; what agrees less is taken to be hidden there, or to
            have moved, and does not count.
        otherwise: what is returned where no place has two; it has no gradient.
    """
    total, count = own.new_zeros(()), own.new_zeros(())
    for features, seen in views:
        mask = seen & valid & (F.cosine_similarity(judged, features, dim=-1).detach() >= least)
        cosine = F.cosine_similarity(own, features, dim=-1)
        total = total + torch.where(mask, cosine, torch.zeros_like(cosine)).sum()
        count = count + mask.sum()
    return torch.where(count > 0, total / count.clamp(min=1), otherwise)


def unmatched_agreement(
    own: Float[Tensor, "b n r c"],
    views: list[tuple[Float[Tensor, "b n r c"], Bool[Tensor, "b n r"]]],
    valid: Bool[Tensor, "b n r"],
) -> Float[Tensor, ""]:
    """Compute the mean cosine of the features of two places, each in another view, to compare `agreement` with.

    The pairs are all that the places of `agreement` make with one another, in the same two views. It is NaN where there
    are none.

    Args:
        own: features of the places in the camera of their ray.
        views: features of the places in other views, and where they count.
        valid: which places exist.
    """
    units = F.normalize(own, dim=-1)
    total, count = own.new_zeros(()), own.new_zeros(())
    for features, seen in views:
        mask = seen & valid
        here, there = (torch.where(mask[..., None], u, 0.0) for u in (units, F.normalize(features, dim=-1)))
        # The sum over all pairs is the product of the sums.
        total = total + (here.sum(dim=2) * there.sum(dim=2)).sum() - (here * there).sum()
        number = mask.sum(dim=2)
        count = count + (number * (number - 1)).sum()
    return torch.where(count > 0, total / count.clamp(min=1), torch.nan)
