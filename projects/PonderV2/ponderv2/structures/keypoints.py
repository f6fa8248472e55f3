"""Decorated key points of a sample: places that are found again, with what is there."""

from dataclasses import dataclass

from torch import Tensor

from ponderv2.shapes import Float, Int

MATCH_RADIUS = 0.5
"""Distance (m) within which a key point counts as found again, and of which scores speak."""


@dataclass(frozen=True)
class Keypoints:
    """Key points of one sample, or candidates of them.

    Attributes:
        places: metres in the LiDAR frame.
        descriptors: what is there; unit length.
        scores: how probably another view has a key point within `MATCH_RADIUS`, 0 to 1.
    """

    places: Float[Tensor, "k 3"]
    descriptors: Float[Tensor, "k c"]
    scores: Float[Tensor, "k"]

    def __len__(self) -> int:
        return len(self.places)

    def take(self, rows: Int[Tensor, "q"]) -> "Keypoints":
        """Take some of the points, in the order of `rows`."""
        return Keypoints(self.places[rows], self.descriptors[rows], self.scores[rows])
