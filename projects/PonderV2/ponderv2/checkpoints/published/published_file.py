"""Reading a published checkpoint: what it holds, or in one line why it is none."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.errors import UserError

from .published_layouts import CLASSES, PUBLISHED_CLASSES
from .published_names import SENSORS

KINDS = {
    f"{maker}-{name}": sensors
    for maker in ("unipad", "uvtr")
    for name, sensors in (("camera", ("camera",)), ("lidar", ("lidar",)), ("fusion", ("camera", "lidar")))
} | {f"bevformer-{size}": ("camera",) for size in ("tiny", "small", "base")}
"""Who published a checkpoint and for which sensors, or of which size, and the sensors whose encoders it holds."""


_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_INTEGERS = (torch.int64, torch.int32)

_SINGLE_NUMBERS = r".*\.(num_batches_tracked|deviation_network\.variance|laplace_density\.\w+)"
"""Published names that may be a single number, without an axis."""
_OWN = "encoder."
"""Beginning of names that every model here has, and no published one."""


@dataclass(frozen=True)
class PublishedFile:
    """A published checkpoint.

    Attributes:
        path: the file.
        weights: its state dict; numbers with a fraction are float32.
        classes: the classes that it tells apart, by label.
    """

    path: Path
    weights: dict[str, Tensor]
    classes: tuple[str, ...]


def read_published(path: Path, kind: str) -> PublishedFile:
    """Read a checkpoint of mmdet3d 0.17's generation with the safe loader, which runs nothing of it.

    Args:
        path: the `.pth` file.
        kind: one of `KINDS`.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it is no checkpoint, asks for more than a checkpoint needs, or is not of that kind; the first key
            that is wrong is named.
    """
    checkpoint = load_checkpoint_file(path)
    weights = checkpoint.get("state_dict")
    if not isinstance(weights, Mapping) or not weights:
        found = [str(key) for key in checkpoint][:5]
        raise UserError(f"{path}: expected a checkpoint with the key 'state_dict', found {found}")
    own = next((name for name in weights if str(name).startswith(_OWN)), None)
    if own is not None:
        raise UserError(
            f"{path}: is a checkpoint of this project already, with {own}, and needs no conversion; tools/test.py and "
            "model.init_cfg.checkpoint of a recipe take it as it is"
        )
    for name, value in weights.items():
        _check_weight(path, name, value)
    _check_sensors(path, weights, kind)
    return PublishedFile(path, {name: _single(value) for name, value in weights.items()}, _classes_of(path, checkpoint))


def sensors_of(weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return the sensors whose encoders are among published weights."""
    return tuple(sensor for sensor, start in SENSORS.items() if any(name.startswith(start) for name in weights))


def _check_weight(path: Path, name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, Tensor):
        raise UserError(f"{path}: {name} of its state_dict is a {type(value).__name__}, expected a tensor")
    if value.layout != torch.strided or value.is_quantized or value.is_complex():
        raise UserError(f"{path}: {name} of its state_dict is no plain tensor of real numbers")
    if value.device.type == "meta":
        raise UserError(f"{path}: {name} of its state_dict has a shape alone and no values (device meta)")
    is_counter = name.endswith(".num_batches_tracked")
    if value.dtype not in _FLOATS and not (is_counter and value.dtype in _INTEGERS):
        expected = " or ".join(str(dtype).removeprefix("torch.") for dtype in (*_FLOATS, *_INTEGERS * is_counter))
        raise UserError(f"{path}: {name} of its state_dict is of {value.dtype}, expected {expected}")
    if value.dim() == 0 and not re.fullmatch(_SINGLE_NUMBERS, name):
        raise UserError(f"{path}: {name} of its state_dict is a single number, expected a tensor with axes")
    if value.is_floating_point() and not value.isfinite().all():
        raise UserError(f"{path}: {name} of its state_dict has values that are not finite")


def _check_sensors(path: Path, weights: Mapping[str, Tensor], kind: str) -> None:
    found = sensors_of(weights)
    if not found:
        raise UserError(
            f"{path}: no key of its state_dict starts with {' or '.join(SENSORS.values())}, the first is "
            f"{next(iter(weights))}; expected a checkpoint as UniPAD, UVTR and BEVFormer publish them, of mmdet3d 0.17"
        )
    if found != KINDS[kind]:
        key = next(name for name in weights if any(name.startswith(SENSORS[sensor]) for sensor in found))
        raise UserError(
            f"{path}: --from {kind} expects {_words(KINDS[kind])}, the file holds {_words(found)}, the first key {key}"
        )
    bevformer = "pts_bbox_head.bev_embedding.weight" in weights
    if kind.startswith("bevformer-") != bevformer:
        expected = "expects" if kind.startswith("bevformer-") else "expects no"
        raise UserError(
            f"{path}: --from {kind} {expected} pts_bbox_head.bev_embedding.weight in its state_dict, which BEVFormer's "
            f"detectors have; the first key is {next(iter(weights))}"
        )
    if "img_backbone.conv1.weight" in weights and not bevformer:
        raise UserError(
            f"{path}: img_backbone.conv1.weight is of a ResNet, and only a ConvNeXt can be converted: the ResNets that "
            "were published have deformable convolutions, which the backbones here have not"
        )


def _classes_of(path: Path, checkpoint: Mapping) -> tuple[str, ...]:
    meta = checkpoint.get("meta")
    classes = meta.get("CLASSES") if isinstance(meta, Mapping) else None
    if classes is None:
        return PUBLISHED_CLASSES
    if not isinstance(classes, Sequence) or sorted(map(str, classes)) != sorted(CLASSES):
        raise UserError(f"{path}: meta.CLASSES: expected the {len(CLASSES)} classes of nuScenes, found {classes}")
    return tuple(classes)


def _single(value: Tensor) -> Tensor:
    return value.to(torch.float32) if value.is_floating_point() else value


def _words(sensors: Sequence[str]) -> str:
    return f"the encoder of {sensors[0]}" if len(sensors) == 1 else f"encoders of {' and '.join(sensors)}"
