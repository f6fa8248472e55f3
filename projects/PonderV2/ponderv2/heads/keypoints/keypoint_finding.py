"""Key points of a sample from the volume, from pictures, or from both."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.geometry import in_image, project, rays_through_pixels, sample_maps, suppress_points
from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import CameraRig, Keypoints, MapCells

from .image_keypoint_head import score_peaks
from .keypoint_branch import KeypointBranch, KeypointView, places_in_cameras

SOURCES = ("image", "lidar", "fusion")
RenderedDepths = Callable[[Tensor, Tensor], Tensor]
"""From origins and directions `[P, 3]` of rays to their depths `[P]` (m), 0 where light passes."""


@torch.no_grad()
def volume_keypoints(branch: KeypointBranch, view: KeypointView) -> list[Keypoints]:
    """Find the key points of the volume of each sample."""
    return [branch.choose(found).keypoints() for found in branch.volume_head(view.volume, view.points)]


@torch.no_grad()
def fused_keypoints(branch: KeypointBranch, view: KeypointView, cells: MapCells) -> list[Keypoints]:
    """Find the key points of the volume with what pictures say of them.

    Of a place that pictures show, the score is the mean of the volume's and of the pictures' mean, and the descriptor
    the direction of their sum.
    """
    found = branch.volume_head(view.volume, view.points)
    seen = branch.image_head(view.maps)
    results = []
    for b, candidates in enumerate(found):
        points = candidates.keypoints()
        pixels, shown = places_in_cameras(points.places, view.rig.at(b))
        number = shown.sum(dim=0)
        both = torch.cat([seen.descriptors[b], seen.logits[b][:, None]], dim=1)
        read = sample_maps(both[None], cells, pixels[None])[0]
        scores = _mean_of_shown(read[..., -1:].sigmoid(), shown)[:, 0]
        described = _mean_of_shown(F.normalize(read[..., :-1], dim=-1), shown)
        points = Keypoints(
            points.places,
            F.normalize(points.descriptors + described, dim=1),
            torch.where(number > 0, (points.scores + scores) / 2, points.scores),
        )
        results.append(_chosen(branch, points))
    return results


@torch.no_grad()
def image_keypoints(
    branch: KeypointBranch, view: KeypointView, cells: MapCells, rendered_depths: list[RenderedDepths]
) -> list[Keypoints]:
    """Find the key points of the pictures of each sample.

    A pixel becomes a place by the distance of the LiDAR return nearest to it, at most a cell of the map away; where
    there is none by the depth that is rendered. What has neither is left out.

    Args:
        branch: the heads.
        view: the samples.
        cells: where the cells of the maps lie.
        rendered_depths: for each sample what renders depths.
    """
    seen = branch.image_head(view.maps)
    results = []
    for b, cloud in enumerate(view.points):
        rig = view.rig.at(b)
        # Suppression in space leaves out what several cameras show, so there have to be more to choose from.
        camera, pixels, scores = score_peaks(seen.logits[b], cells, 4 * branch.max_points)
        inside = in_image(pixels[:, None], rig.image_size[camera])[:, 0]
        camera, pixels, scores = camera[inside], pixels[inside], scores[inside]
        origins, directions = rays_through_pixels(pixels[:, None], rig.img2lidar[camera])
        origins, directions = origins[:, 0], directions[:, 0]
        distance = return_distances(cloud[:, :3].float(), rig, camera, pixels, cells.stride)
        missing = distance <= 0
        if bool(missing.any()):
            distance[missing] = rendered_depths[b](origins[missing], directions[missing]).to(distance.dtype)
        places = origins + directions * distance[:, None]
        every = pixels[None].expand(rig.num_cameras, -1, -1)
        read = sample_maps(seen.descriptors[b : b + 1], cells, every[None])[0]
        described = F.normalize(read[camera, torch.arange(len(camera), device=camera.device)], dim=1)
        there = (distance > 0) & view.volume.grid.contains(places)
        results.append(_chosen(branch, Keypoints(places[there], described[there], scores[there])))
    return results


@torch.no_grad()
def random_keypoints(
    branch: KeypointBranch, view: KeypointView, numbers: list[int], generator: torch.Generator
) -> list[Keypoints]:
    """Choose random returns of each sample under the same suppression, decorated as key points: the blind baseline.

    Args:
        branch: the heads, whose descriptors they get.
        view: the samples.
        numbers: how many of each sample.
        generator: what chooses them, on the CPU.
    """
    places, scores = [], []
    for cloud, number in zip(view.points, numbers, strict=True):
        returns = cloud[:, :3].float()
        returns = returns[view.volume.grid.contains(returns)]
        chance = torch.rand(len(returns), generator=generator).to(returns.device)
        rows = suppress_points(returns, chance, branch.suppression, number)
        places.append(returns[rows])
        scores.append(chance[rows])
    return _decorated(branch, view, places, scores)


RULES: dict[str, Callable[[Tensor], Tensor]] = {
    "highest": lambda centers: centers[:, 2],
    "nearest": lambda centers: -centers[:, :2].norm(dim=1),
}
"""Scores `[M]` of candidates `[M, 3]` (metres in the LiDAR frame) that need no network: the highest come first, or the
nearest to the car."""


@torch.no_grad()
def rule_keypoints(branch: KeypointBranch, view: KeypointView, numbers: list[int], rule: str) -> list[Keypoints]:
    """Choose key points by a rule in place of a network: the baseline that learned ones have to beat.

    Candidates, suppression and number are those of the learned key points, and so are the descriptors. A rule that
    ignores what is there repeats as well as it is the same from two poses: height is, wherever the car drives.

    Args:
        branch: the heads, whose descriptors they get.
        view: the samples.
        numbers: how many of each sample.
        rule: a key of `RULES`.
    """
    places = []
    for centers, number in zip(branch.volume_head.centers(view.volume, view.points), numbers, strict=True):
        places.append(centers[suppress_points(centers, RULES[rule](centers), branch.suppression, number)])
    # By rank, as scores of files fall from 1 to 0.
    scores = [1 - torch.arange(len(chosen), device=chosen.device) / max(len(chosen), 1) for chosen in places]
    return _decorated(branch, view, places, scores)


def _decorated(
    branch: KeypointBranch, view: KeypointView, places: list[Tensor], scores: list[Tensor]
) -> list[Keypoints]:
    """Give the descriptors of the head to places of each sample that it has not chosen."""
    described = branch.volume_head.describe(view.volume, view.points, places)
    return [Keypoints(*parts) for parts in zip(places, described, scores, strict=True)]


def return_distances(
    points: Float[Tensor, "p 3"], rig: CameraRig, camera: Int[Tensor, "q"], pixels: Float[Tensor, "q 2"], reach: float
) -> Float[Tensor, "q"]:
    """Find for each pixel the distance (m) from its camera of the return that lies nearest in the picture.

    Args:
        points: returns in the LiDAR frame of the rig.
        rig: the cameras of one sample.
        camera: camera of each pixel.
        pixels: pixels (u, v).
        reach: largest distance of a return in the picture, pixels; 0 m stands for none within it.
    """
    found = pixels.new_zeros(len(pixels))
    for number in range(rig.num_cameras):
        places, depth = project(points, rig.lidar2img[number])
        near = (depth > 0.1) & in_image(places, rig.image_size[number])
        own = (camera == number).nonzero()[:, 0]
        if not len(own) or not bool(near.any()):
            continue
        apart, nearest = torch.cdist(pixels[own], places[near]).min(dim=1)
        distance = (points[near][nearest] - rig.origins[number]).norm(dim=1)
        found[own] = distance.where(apart <= reach, 0.0)
    return found


def _mean_of_shown(values: Float[Tensor, "n k c"], shown: Bool[Tensor, "n k"]) -> Float[Tensor, "k c"]:
    weights = shown.to(values.dtype)[..., None]
    return (values * weights).sum(dim=0) / weights.sum(dim=0).clamp(min=1)


def _chosen(branch: KeypointBranch, points: Keypoints) -> Keypoints:
    return points.take(suppress_points(points.places, points.scores, branch.suppression, branch.max_points))
