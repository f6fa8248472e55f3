"""What all image teachers share: a picture becomes a map of features, whose cells tile the picture."""

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ponderv2.checkpoints.writing import weights_hash
from ponderv2.errors import UserError
from ponderv2.shapes import Float
from ponderv2.structures import MapCells


class ImageTeacher(nn.Module):
    """A network that has learned what pictures show, and gives features of their patches.

    Pictures are padded at the bottom and the right to whole cells, and resized so that a cell is a patch of the
    network.

    Args:
        network: module that makes maps `[V, C, h, w]` of RGB pictures `[V, 3, h * patch, w * patch]` in [0, 1].
        channels: channels C of its maps.
        patch: width of the pixels that a cell of its maps stands for, in the pictures that it takes.
        stride: width of a cell in pixels of the pictures that the teacher is given; twice the patch halves them.

    Raises:
        UserError: `stride` is not a whole number of at least 1, or the maps have other channels or cells.
    """

    def __init__(self, network: nn.Module, channels: int, patch: int, stride: int) -> None:
        super().__init__()
        if not isinstance(stride, int) or stride < 1:
            raise UserError(f"stride: expected a whole number of pixels of at least 1, got {stride!r}")
        self.network, self.channels, self.patch, self.stride = network, channels, patch, stride
        _check_maps(self)
        named = {**dict(network.named_buffers()), **network.state_dict()}
        self.fingerprint = hashlib.sha256(f"{type(self).__name__} {stride} {weights_hash(named)}".encode()).hexdigest()
        """Hash of the class, the stride and the weights: equal ones have equal features."""

    @property
    def cells(self) -> MapCells:
        """Where the cells of the maps lie in the picture."""
        return MapCells(self.stride)

    def forward(self, pictures: Float[Tensor, "v 3 h w"]) -> Float[Tensor, "v c y x"]:
        """Compute the maps of RGB pictures in [0, 1]."""
        height, width = pictures.shape[-2:]
        rows, columns = -(-height // self.stride), -(-width // self.stride)
        right, below = columns * self.stride - width, rows * self.stride - height
        if right or below:
            pictures = F.pad(pictures, (0, right, 0, below), mode="replicate")
        if self.stride != self.patch:
            size = (rows * self.patch, columns * self.patch)
            pictures = F.interpolate(pictures, size=size, mode="bilinear", align_corners=False, antialias=True)
        return self.network(pictures)


def _check_maps(teacher: ImageTeacher) -> None:
    """Run a teacher once on a small picture, in evaluation, where it stays."""
    teacher.eval()
    with torch.no_grad():
        found = tuple(teacher(torch.zeros(1, 3, 4 * teacher.stride, 4 * teacher.stride)).shape)
    if found != (1, teacher.channels, 4, 4):
        raise UserError(f"teacher: expected a map of shape {(1, teacher.channels, 4, 4)}, got {found}")
