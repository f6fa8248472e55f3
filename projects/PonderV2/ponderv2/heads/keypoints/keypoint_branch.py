"""The heads of key points of the volume and of pictures together, and how two views of a scene train them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.geometry import sample_maps, suppress_points, transform_points
from ponderv2.shapes import Bool, Float
from ponderv2.structures import MATCH_RADIUS, CameraRig, FeatureVolume, MapCells

from .image_keypoint_head import ImageKeypointHead, ScoreMaps, places_in_cameras, score_targets
from .keypoint_losses import contrast, probabilistic_chamfer, score_map_loss, view_spread
from .volume_keypoint_head import Candidates, VolumeKeypointHead

MAX_KEYPOINTS = 512
"""Largest number of key points of a sample that are written to files."""
_FARTHEST = 2.0


@dataclass(frozen=True)
class KeypointView:
    """A scene as key points see it.

    Attributes:
        volume: what the encoder has computed of it.
        points: returns `[P, 3 or more]` of each sample, in the LiDAR frame of the volume.
        maps: maps of the pictures; None where there are none.
        rig: the cameras, in the same LiDAR frame.
        has_maps: which samples have pictures of their own.
    """

    volume: FeatureVolume
    points: list[Tensor]
    maps: Float[Tensor, "b n c h w"]
    rig: CameraRig
    has_maps: Bool[Tensor, "b"]


class KeypointBranch(BaseModule):
    """Key points of the volume and of pictures, and descriptors that both share.

    Two views of a scene, the key frame before among them, train it: key points of the volume to be near each other in
    both (`probabilistic_chamfer`, of all candidates and of those that suppression leaves), descriptors to tell them
    apart over time and over sensors (`contrast`), and scores of pictures to be high where key points of the volume are,
    and alike in all pictures that show a place. Neither volume nor maps get gradients.

    Args:
        volume_channels: channels of the volume.
        image_channels: channels of the maps.
        descriptor_channels: channels of the descriptors.
        hidden_channels: width of both heads.
        radius: distance (m) of the returns that a candidate looks at.
        cell: width (m) of the cells that have one candidate each.
        suppression: smallest distance (m) of two key points. Twice the distance within which they count as found again,
            so that no key point has two that match it.
        max_points: largest number of key points of a sample.
        descriptors: weight of the losses of descriptors.
        pictures: weight of the losses of pictures' scores.

    Raises:
        UserError: `max_points` is not 1 to 512.
    """

    def __init__(
        self,
        volume_channels: int,
        image_channels: int,
        descriptor_channels: int = 32,
        hidden_channels: int = 32,
        radius: float = 1.0,
        cell: float = 1.0,
        suppression: float = 2 * MATCH_RADIUS,
        max_points: int = 128,
        descriptors: float = 0.3,
        pictures: float = 0.1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(max_points, int) or not 1 <= max_points <= MAX_KEYPOINTS:
            raise UserError(f"keypoints.max_points: expected a whole number from 1 to 512, got {max_points!r}")
        self.suppression, self.max_points = suppression, max_points
        self.descriptors, self.pictures = descriptors, pictures
        self.volume_head = VolumeKeypointHead(volume_channels, descriptor_channels, hidden_channels, radius, cell)
        self.image_head = ImageKeypointHead(image_channels, descriptor_channels, hidden_channels)

    def losses(
        self, first: KeypointView, second: KeypointView, motion: Float[Tensor, "b 4 4"], cells: MapCells
    ) -> dict[str, Tensor]:
        """Compute the losses, and `keypoints_repeat`, the share of key points with one of the other view near.

        Args:
            first: the scene.
            second: the same scene from elsewhere, at another time, or with fewer returns.
            motion: transform from the LiDAR frame of the first view to that of the second.
            cells: where the cells of the maps lie.
        """
        with torch.autocast(motion.device.type, enabled=False):
            found = self.volume_head(first.volume, first.points)
            again = self.volume_head(second.volume, second.points)
            seen, seen_again = self.image_head(first.maps), self.image_head(second.maps)
            parts = [
                self._of_sample(b, found[b], again[b], motion[b], first, second, seen, seen_again, cells)
                for b in range(len(found))
            ]
        losses = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        # In the graph also where a sample has nothing, for distributed training wants every parameter used.
        every = sum(parameter.sum() for parameter in self.parameters()) * 0
        return losses | {"loss_keypoints": losses["loss_keypoints"] + every}

    def choose(self, candidates: Candidates) -> Candidates:
        """Choose key points among candidates by non-maximum suppression."""
        rows = suppress_points(candidates.places.detach(), candidates.scores, self.suppression, self.max_points)
        return candidates.take(rows)

    def _of_sample(
        self,
        b: int,
        found: Candidates,
        again: Candidates,
        motion: Float[Tensor, "4 4"],
        first: KeypointView,
        second: KeypointView,
        seen: ScoreMaps,
        seen_again: ScoreMaps,
        cells: MapCells,
    ) -> dict[str, Tensor]:
        zero = motion.new_zeros(())
        losses = dict.fromkeys(("loss_keypoints", "loss_keypoint_descriptors", "loss_keypoint_pictures"), zero)
        if not len(found) or not len(again):
            return losses | {"keypoints_repeat": zero}
        chosen, chosen_again = self.choose(found), self.choose(again)
        grid = second.volume.grid
        moved, moved_chosen = (_moved(part, motion) for part in (found, chosen))
        back = torch.linalg.inv(motion)
        shared, shared_again = grid.contains(moved.places), grid.contains(_moved(again, back).places)
        losses["loss_keypoints"] = _both_ways(moved, again, shared, shared_again)
        kept, kept_again = grid.contains(moved_chosen.places), grid.contains(_moved(chosen_again, back).places)
        losses["loss_keypoints"] = losses["loss_keypoints"] + _both_ways(moved_chosen, chosen_again, kept, kept_again)
        apart = _apart(moved_chosen, chosen_again)
        near = (apart.min(dim=1).values <= MATCH_RADIUS) & kept
        limits = MATCH_RADIUS, 2 * self.suppression
        told = contrast(chosen.descriptors, chosen_again.descriptors, apart, chosen.scores, *limits)
        spaced = _apart(chosen, chosen)
        drawn, described, logits, shown = self._of_pictures(b, chosen, chosen.places, spaced, first, seen, cells)
        if bool(second.has_maps[b]):
            own = _apart(chosen_again, chosen_again)
            parts = self._of_pictures(b, chosen_again, moved_chosen.places, own, second, seen_again, cells)
            drawn, described = (drawn + parts[0]) / 2, (described + parts[1]) / 2
            logits, shown = torch.cat([logits, parts[2]]), torch.cat([shown, parts[3]])
        losses["loss_keypoint_descriptors"] = self.descriptors * (told + described)
        losses["loss_keypoint_pictures"] = self.pictures * (drawn + view_spread(logits, shown, chosen.scores))
        return losses | {"keypoints_repeat": near.sum() / kept.sum().clamp(min=1)}

    def _of_pictures(
        self,
        b: int,
        chosen: Candidates,
        watched: Float[Tensor, "k 3"],
        spaced: Float[Tensor, "q q"],
        view: KeypointView,
        seen: ScoreMaps,
        cells: MapCells,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Compute the losses of the pictures of a view; and of places to watch the logits and which are shown."""
        rig = view.rig.at(b)
        pixels, shown = places_in_cameras(chosen.places.detach(), rig)
        logits, maps = seen.logits[b], seen.descriptors[b : b + 1]
        targets = score_targets(pixels, shown, chosen.scores, cells, tuple(logits.shape[-2:]))
        camera, row = shown.nonzero().unbind(dim=1)
        of_maps = F.normalize(sample_maps(maps, cells, pixels[None])[0][camera, row], dim=-1)
        limits = MATCH_RADIUS, 2 * self.suppression
        described = contrast(of_maps, chosen.descriptors, spaced[row], chosen.scores[row], *limits)
        where, there = places_in_cameras(watched.detach(), rig)
        read = sample_maps(logits[None, :, None], cells, where[None])[0, ..., 0]
        return score_map_loss(logits, targets), described, read, there


def _moved(candidates: Candidates, motion: Float[Tensor, "4 4"]) -> Candidates:
    return replace(candidates, places=transform_points(motion, candidates.places))


def _apart(first: Candidates, second: Candidates) -> Float[Tensor, "k q"]:
    # By products of matrices, the default, the distance of a place to itself is some centimeters.
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(first.places.detach(), second.places.detach(), compute_mode=exact)


def _both_ways(
    moved: Candidates, again: Candidates, shared: Bool[Tensor, "m"], shared_again: Bool[Tensor, "q"]
) -> Float[Tensor, ""]:
    pairs: Sequence[tuple[Candidates, Candidates, Tensor]] = ((moved, again, shared), (again, moved, shared_again))
    return sum(
        probabilistic_chamfer(own, other, mask, _FARTHEST).sum() / mask.sum().clamp(min=1) for own, other, mask in pairs
    )
