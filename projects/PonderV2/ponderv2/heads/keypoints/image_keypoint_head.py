"""Key points of pictures: which cells of a map show a place that is found again, and what is there."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ponderv2.geometry import MIN_DEPTH, in_image, project
from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import CameraRig, MapCells

_START = -4.0
"""First logit: few cells show a key point, and a loss that first learns this would drown the rest (as of RetinaNet)."""


@dataclass(frozen=True)
class ScoreMaps:
    """What the head says of each cell of the maps.

    Attributes:
        logits: of the score.
        descriptors: what is there; not of unit length, so that they can be interpolated.
    """

    logits: Float[Tensor, "b n h w"]
    descriptors: Float[Tensor, "b n c h w"]


class ImageKeypointHead(BaseModule):
    """Scores the cells of an image branch's maps, and describes them (SuperPoint, DeTone et al. 2018, Fig. 3).

    SuperPoint is trained on corners of drawn shapes first; here key points of the volume, which are trained to be found
    again, are drawn into all pictures that show them. Gradients do not reach the maps.

    Args:
        in_channels: channels of the maps.
        descriptor_channels: channels of the descriptors.
        hidden_channels: channels of the convolutions.
    """

    def __init__(
        self, in_channels: int, descriptor_channels: int, hidden_channels: int = 32, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.trunk = nn.Sequential(
            nn.Conv2d(in_channels, hidden_channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden_channels, hidden_channels, 3, padding=1),
            nn.ReLU(),
        )
        self.score = nn.Conv2d(hidden_channels, 1, 1)
        self.descriptor = nn.Conv2d(hidden_channels, descriptor_channels, 1)
        nn.init.constant_(self.score.bias, _START)

    def forward(self, maps: Float[Tensor, "b n c h w"]) -> ScoreMaps:
        """Compute scores and descriptors of the cells."""
        with torch.autocast(maps.device.type, enabled=False):
            seen = self.trunk(maps.detach().float().flatten(0, 1))
            logits, descriptors = self.score(seen)[:, 0], self.descriptor(seen)
        return ScoreMaps(logits.unflatten(0, maps.shape[:2]), descriptors.unflatten(0, maps.shape[:2]))


def places_in_cameras(
    places: Float[Tensor, "k 3"], rig: CameraRig
) -> tuple[Float[Tensor, "n k 2"], Bool[Tensor, "n k"]]:
    """Find the pixels of places in the cameras of one sample, and which lie in the image.

    Something nearer may hide a place. Key points are where the LiDAR sees them, so that is rare.
    """
    pixels, depth = project(places.expand(rig.num_cameras, -1, -1), rig.lidar2img)
    return pixels, (depth > MIN_DEPTH) & in_image(pixels, rig.image_size)


@torch.no_grad()
def score_targets(
    pixels: Float[Tensor, "n k 2"],
    seen: Bool[Tensor, "n k"],
    scores: Float[Tensor, "k"],
    cells: MapCells,
    size: tuple[int, int],
    deviation: float = 1.0,
) -> Float[Tensor, "n h w"]:
    """Draw key points as bells into maps: the largest `score * exp(-d^2 / (2 deviation^2))`, with d in cells.

    Args:
        pixels: pixels of key points in each camera.
        seen: which lie in the image.
        scores: their scores.
        cells: where the cells lie.
        size: rows and columns of the maps.
        deviation: width of a bell, cells.
    """
    rows, columns = size
    place = cells.index(pixels, size)
    reach = torch.arange(-2, 3, device=pixels.device)
    column, row = place.round().long().unbind(dim=-1)
    row, column = torch.broadcast_tensors(row[..., None, None] + reach[:, None], column[..., None, None] + reach)
    apart = (column - place[..., 0, None, None]).square() + (row - place[..., 1, None, None]).square()
    bell = scores[:, None, None] * torch.exp(-apart / (2 * deviation * deviation))
    inside = seen[..., None, None] & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    camera = torch.arange(len(pixels), device=pixels.device)[:, None, None, None]
    index = ((camera * rows + row) * columns + column)[inside]
    drawn = bell.new_zeros(len(pixels) * rows * columns).scatter_reduce(0, index, bell[inside], "amax")
    return drawn.unflatten(0, (len(pixels), rows, columns))


@torch.no_grad()
def score_peaks(
    logits: Float[Tensor, "n h w"], cells: MapCells, limit: int
) -> tuple[Int[Tensor, "p"], Float[Tensor, "p 2"], Float[Tensor, "p"]]:
    """Find the highest cells among their eight neighbors, refined below the cell by the mean of the scores around them.

    Args:
        logits: scores of the cells of each camera.
        cells: where the cells lie.
        limit: largest number of peaks over all cameras.

    Returns:
        Camera, pixel (u, v) and score of each, by falling score.
    """
    scores = logits.sigmoid()
    around = F.max_pool2d(scores[:, None], 3, stride=1, padding=1)[:, 0]
    flat = scores.where(scores == around, 0.0).flatten()
    best, index = flat.topk(min(limit, flat.numel()))
    index = index[best > 0]
    height, width = logits.shape[-2:]
    camera, row, column = index // (height * width), index // width % height, index % width
    window = F.unfold(F.pad(scores[:, None], (1, 1, 1, 1)), 3).unflatten(2, (height, width))
    weights = window[camera, :, row, column]
    step = torch.arange(-1, 2, device=logits.device).to(weights.dtype)
    total = weights.sum(dim=1)
    across = (weights * step.repeat(3)).sum(dim=1) / total
    down = (weights * step.repeat_interleave(3)).sum(dim=1) / total
    pixels = torch.stack([column + across, row + down], dim=1)
    # The inverse of `MapCells.index` where cells are not spread.
    pixels = (pixels + 0.5) * cells.stride - 0.5 - cells.lead
    return camera, pixels, best[: len(index)]
