"""Key points of a volume: places on surfaces that are found again when the car has moved, and how surely."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ponderv2.geometry import sample_volume
from ponderv2.shapes import Float, Int
from ponderv2.structures import MATCH_RADIUS, FeatureVolume, Keypoints

from .surface_points import (
    candidate_centers,
    max_of_pairs,
    mean_of_pairs,
    pairs_within,
    softmax_of_pairs,
    thin_points,
)

_LEAST_DISTANCE = 0.02


@dataclass(frozen=True)
class Candidates:
    """Candidates of key points of one sample.

    Attributes:
        places: metres in the LiDAR frame.
        distances: expected distance (m) to the nearest candidate in another view.
        descriptors: what is there; unit length.
    """

    places: Float[Tensor, "m 3"]
    distances: Float[Tensor, "m"]
    descriptors: Float[Tensor, "m c"]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def scores(self) -> Float[Tensor, "m"]:
        """How probably another view has one within `MATCH_RADIUS`, as distances are exponential in the loss."""
        return 1 - torch.exp(-MATCH_RADIUS / self.distances.detach())

    def take(self, rows: Int[Tensor, "k"]) -> "Candidates":
        """Take some of the candidates."""
        return Candidates(self.places[rows], self.distances[rows], self.descriptors[rows])

    def keypoints(self) -> Keypoints:
        """Return them as key points, without gradients."""
        return Keypoints(self.places.detach(), self.descriptors.detach(), self.scores)


class VolumeKeypointHead(BaseModule):
    """Finds candidates of key points on the surfaces of a sweep, with features of the volume (after USIP).

    As in USIP (Li and Lee 2019, 3.1) a small PointNet looks at the returns around each of many places and says where
    the key point is, and how far from it another view may find it. Here the place is a weighted mean of the returns, a
    soft argmax of their scores, so that it stays among them; USIP regresses it and needs a loss for that. Returns are
    thinned out, so that weights do not hang on the distance. The PointNet knows features of the volume, which tell what
    is there from further around than its radius. Ground has candidates as all surfaces have; their distances are large,
    because a mean of flat ground is wherever one looks.

    Gradients do not reach the volume: key points read what pre-training gives, and do not change it.

    Args:
        in_channels: channels of the volume.
        descriptor_channels: channels of the descriptors.
        hidden_channels: width of the perceptrons.
        radius: distance (m) of the returns that a candidate looks at.
        cell: width (m) of the cells that have one candidate each.
        thinned: width (m) of the cells that leave one mean of their returns each.
    """

    def __init__(
        self,
        in_channels: int,
        descriptor_channels: int,
        hidden_channels: int = 32,
        radius: float = 1.0,
        cell: float = 1.0,
        thinned: float = 0.25,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.radius, self.cell, self.thinned = radius, cell, thinned
        width = hidden_channels
        self.volume_norm = nn.LayerNorm(in_channels)
        self.pair = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.context = nn.Sequential(
            nn.Linear(2 * width + in_channels + _NUM_SHAPES, 2 * width),
            nn.ReLU(),
            nn.Linear(2 * width, width),
            nn.ReLU(),
        )
        self.pair_weight, self.context_weight = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.weight = nn.Linear(width, 1)
        self.distance = nn.Linear(width, 1)
        self.descriptor = nn.Linear(width + in_channels, descriptor_channels)

    def forward(self, volume: FeatureVolume, points: list[Tensor]) -> list[Candidates]:
        """Compute the candidates of each sample.

        Args:
            volume: what the encoder has computed.
            points: returns of each sample, (x, y, z, ...) in metres of the LiDAR frame.
        """
        with torch.autocast(volume.data.device.type, enabled=False):
            parts = [volume.with_data(data[None].float()) for data in volume.data.detach()]
            surfaces = self._surfaces(volume, points)
            return [self._look(*of_sample) for of_sample in zip(parts, surfaces, self._centers(surfaces), strict=True)]

    def centers(self, volume: FeatureVolume, points: list[Tensor]) -> list[Tensor]:
        """Compute the places `[M, 3]` of each sample that candidates look at, which no weight has a say in."""
        return self._centers(self._surfaces(volume, points))

    def describe(self, volume: FeatureVolume, points: list[Tensor], places: list[Tensor]) -> list[Tensor]:
        """Compute the descriptors `[K, C]` of any places `[K, 3]` of each sample with returns within the radius."""
        with torch.autocast(volume.data.device.type, enabled=False):
            parts = [volume.with_data(data[None].float()) for data in volume.data.detach()]
            of_samples = zip(parts, self._surfaces(volume, points), places, strict=True)
            return [self._look(*of_sample).descriptors for of_sample in of_samples]

    def _surfaces(self, volume: FeatureVolume, points: list[Tensor]) -> list[Float[Tensor, "_ 3"]]:
        return [thin_points(cloud[:, :3].float(), volume.grid, self.thinned) for cloud in points]

    def _centers(self, surfaces: list[Float[Tensor, "_ 3"]]) -> list[Float[Tensor, "_ 3"]]:
        return [candidate_centers(surface, self.cell, self.radius) for surface in surfaces]

    def _look(self, volume: FeatureVolume, surface: Float[Tensor, "s 3"], centers: Float[Tensor, "m 3"]) -> Candidates:
        count = len(centers)
        center, near = pairs_within(centers, surface, self.radius)
        offset = (surface[near] - centers[center]) / self.radius
        pair = self.pair(torch.cat([offset, offset.norm(dim=1, keepdim=True)], dim=1))
        seen = self.volume_norm(sample_volume(volume, centers[None])[0])
        shape = _shapes(offset, center, centers)
        pooled = max_of_pairs(pair, center, count), mean_of_pairs(pair, center, count)
        context = self.context(torch.cat([*pooled, seen, shape], dim=1))
        logits = self.weight(F.relu(self.pair_weight(pair) + self.context_weight(context)[center]))[:, 0]
        weights = softmax_of_pairs(logits, center, count)
        places = torch.zeros_like(centers).index_add(0, center, weights[:, None] * surface[near])
        distances = F.softplus(self.distance(context))[:, 0] + _LEAST_DISTANCE
        descriptors = F.normalize(self.descriptor(torch.cat([context, seen], dim=1)), dim=1)
        return Candidates(places, distances, descriptors)


_NUM_SHAPES = 6


def _shapes(
    offset: Float[Tensor, "q 3"], center: Int[Tensor, "q"], centers: Float[Tensor, "m 3"]
) -> Float[Tensor, "m 6"]:
    """Compute how far the points around each center reach along three axes, their number, its distance and height."""
    count = len(centers)
    outer = (offset[:, :, None] * offset[:, None, :]).flatten(1)
    mean = mean_of_pairs(offset, center, count)
    covariance = mean_of_pairs(outer, center, count).unflatten(1, (3, 3)) - mean[:, :, None] * mean[:, None, :]
    extent = torch.linalg.eigvalsh(covariance).clamp(min=0).sqrt()
    number = torch.bincount(center, minlength=count).float().log1p() / 4
    distance, height = centers[:, :2].norm(dim=1).log1p() / 4, centers[:, 2] / 4
    return torch.cat([extent, torch.stack([number, distance, height], dim=1)], dim=1)
