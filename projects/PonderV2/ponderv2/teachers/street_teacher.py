"""The street teacher: a small network trained on labeled synthetic pictures, where no foundation model can be had.

It is a stand-in: it knows 16 classes of synthetic streets and the sky from labels of pixels, where foundation models
know much more, from no labels.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ponderv2.atomic_files import replacing
from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.shapes import Float

from .image_teacher import ImageTeacher

FORMAT = "ponderv2.street_teacher.v1"
STRIDE = 4
"""Width of a cell of the maps, pixels."""
_DEEPEST = 32
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class StreetNet(nn.Module):
    """A residual network with a feature pyramid: features of cells of 4 pixels, and logits of their classes.

    Args:
        classes: names of the classes.
        channels: channels of the features.
        widths: channels of the maps of strides 4, 8, 16 and 32.
    """

    def __init__(
        self, classes: tuple[str, ...], channels: int = 48, widths: tuple[int, ...] = (32, 48, 80, 96)
    ) -> None:
        super().__init__()
        self.classes, self.channels, self.widths = tuple(classes), channels, tuple(widths)
        self.stem = _conv(3, 16, stride=2)
        inputs = (16, *widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(_conv(low, high, stride=2), _Residual(high)) for low, high in zip(inputs, widths, strict=True)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.smooth = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
        self.classifier = nn.Conv2d(channels, len(self.classes), 1)
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).reshape(3, 1, 1), persistent=False)

    def forward(self, pictures: Float[Tensor, "v 3 h w"]) -> Float[Tensor, "v c y x"]:
        """Compute features of cells of 4 pixels of RGB pictures in [0, 1], whose sides are multiples of 4."""
        height, width = pictures.shape[-2:]
        x = (pictures - self.mean) / self.std
        x = self.stem(F.pad(x, (0, -width % _DEEPEST, 0, -height % _DEEPEST)))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        total = self.lateral[-1](maps[-1])
        for lateral, finer in zip(reversed(self.lateral[:-1]), reversed(maps[:-1]), strict=True):
            total = F.interpolate(total, scale_factor=2.0, mode="bilinear", align_corners=False) + lateral(finer)
        return self.smooth(total[..., : height // STRIDE, : width // STRIDE])

    def classify(self, features: Float[Tensor, "v c y x"]) -> Float[Tensor, "v k y x"]:
        """Compute the logits of the classes of cells."""
        return self.classifier(features)


def write_street_net(path: Path, net: StreetNet, about: dict) -> None:
    """Write a network to a safetensors file, replacing it in one step; `about` is plain values for people to read."""
    header = {"classes": net.classes, "channels": net.channels, "widths": net.widths}
    texts = {"format": FORMAT, "network": json.dumps(header), "about": json.dumps(about)}
    weights = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
    with replacing(path) as unfinished:
        save_file(weights, unfinished, metadata=texts)


def read_street_net(path: Path) -> StreetNet:
    """Read a network that `write_street_net` wrote, for evaluation.

    Raises:
        UserError: the file is missing or damaged, or holds something else.
    """
    if not path.is_file():
        raise UserError(f"street teacher {path}: no such file; tools/train_street_teacher.py makes one")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise UserError(f"{path}: expected format {FORMAT} in its header, found {header.get('format')}")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sizes = json.loads(header.get("network", ""))
        net = StreetNet(tuple(sizes["classes"]), int(sizes["channels"]), tuple(int(w) for w in sizes["widths"]))
        net.load_state_dict(weights)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: no whole street teacher ({error}); copy it or train it again") from error
    return net.eval()


@MODELS.register_module()
class StreetTeacher(ImageTeacher):
    """A street teacher from the file of tools/train_street_teacher.py.

    Args:
        path: the file.
        stride: width of a cell, pixels, see `ImageTeacher`.
    """

    def __init__(self, path: str | Path, stride: int = STRIDE) -> None:
        net = read_street_net(Path(path).expanduser())
        super().__init__(net, net.channels, STRIDE, stride)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


def _conv(low: int, high: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(low, high, 3, stride, 1, bias=False), nn.BatchNorm2d(high), nn.ReLU(inplace=True))
