"""The way in for others: one file to an encoder that is ready to run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ponderv2.errors import UserError
from ponderv2.geometry import CAN_BUS_SIZE, compose_rig
from ponderv2.structures import FeatureVolume, SensorBatch

from .coverage import Coverage, compare, compare_parts
from .encoder_config import build_encoder, build_preprocessor, config_from_data
from .encoder_file import EncoderHeader, read_encoder, read_header


@dataclass(frozen=True)
class EncoderReport:
    """What was loaded; `print` shows it in words.

    Attributes:
        path: the file.
        header: its header: configs, hash, version, name and text of the recipe.
        parts: which weights of each part of the encoder the file covers, by its name.
    """

    path: Path
    header: EncoderHeader
    parts: dict[str, Coverage]

    def __str__(self) -> str:
        header = self.header
        lines = [
            f"{header.encoder['type']} from {self.path}",
            f"  recipe {header.name!r}, written by ponderv2 {header.version!r}",
            f"  {header.tensors} tensors, sha256 {header.sha256}",
        ]
        for name, part in self.parts.items():
            counts = f"{len(part.matched)} matched, {len(part.missing)} missing, {len(part.unexpected)} unexpected"
            lines.append(f"  {name}: {counts}")
        return "\n".join(lines)


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder that is ready to run, in eval mode, with the preprocessor that it was trained with.

    Attributes:
        encoder: sensors to an `EncoderOutput`; its parameters can be trained further.
        preprocessor: makes a `SensorBatch` of packed samples, on the device of the encoder.
        report: what was loaded.
    """

    encoder: nn.Module
    preprocessor: nn.Module
    report: EncoderReport

    def batch(
        self,
        images: Tensor | np.ndarray | None = None,
        lidar2cam: Tensor | np.ndarray | None = None,
        cam2img: Tensor | np.ndarray | None = None,
        points: Tensor | np.ndarray | None = None,
        can_bus: Tensor | np.ndarray | None = None,
    ) -> SensorBatch:
        """Make a batch of a single frame.

        Args:
            images: `[N, 3, H, W]`, RGB from 0 to 255, of the size that the recipe trains with.
            lidar2cam: `[N, 4, 4]`, LiDAR frame to camera frame (x right, y down, z forward), metres.
            cam2img: `[N, 3, 3]` or `[N, 4, 4]`, intrinsics in pixels of `images`.
            points: `[P, 5]`: x, y, z in metres, intensity from 0 to 255, time lag in seconds.
            can_bus: `[18]`, the car's signals since the frame before (`geometry.signals_since`), for an encoder that
                reads them.

        Raises:
            ValueError: neither images nor points are given, images come without calibration, or a shape is another.
        """
        inputs = {}
        if images is None and points is None:
            raise UserError("expected images with their calibration, or points, or both, found neither")
        if images is not None:
            images = torch.as_tensor(images)
            if lidar2cam is None or cam2img is None:
                raise UserError("expected lidar2cam and cam2img with the images, found images alone")
            extrinsics = torch.as_tensor(lidar2cam, dtype=torch.float64)
            intrinsics = torch.as_tensor(cam2img, dtype=torch.float64)
            count, size = len(images), tuple(images.shape[-2:])
            _expect_shape("images", images, [(count, 3, *size)])
            _expect_shape("lidar2cam", extrinsics, [(count, 4, 4)])
            _expect_shape("cam2img", intrinsics, [(count, 3, 3), (count, 4, 4)])
            eye = torch.eye(4, dtype=torch.float64)
            padded = eye.repeat(count, 1, 1)
            padded[:, : intrinsics.shape[1], : intrinsics.shape[2]] = intrinsics
            inputs["img"] = [images]
            inputs["rig"] = [
                compose_rig(
                    extrinsics,
                    padded,
                    lidar_aug=eye,
                    img_aug=eye.repeat(count, 1, 1),
                    image_size=torch.tensor([size] * count),
                    padded_size=size,
                )
            ]
        if points is not None:
            points = torch.as_tensor(points, dtype=torch.float32)
            _expect_shape("points", points, [(len(points), 5)])
            inputs["points"] = [points]
        if can_bus is not None:
            signals = torch.as_tensor(can_bus, dtype=torch.float32)
            _expect_shape("can_bus", signals, [(CAN_BUS_SIZE,)])
            inputs["can_bus"] = [signals]
        return self.preprocessor({"inputs": inputs})["inputs"]

    @torch.no_grad()
    def encode(self, batch: SensorBatch) -> FeatureVolume:
        """Encode a batch without masks and without gradients; `encoder(batch)` has gradients.

        Raises:
            ValueError: the batch lacks a sensor that the encoder reads.
        """
        return self.encoder(batch).volume


def load_encoder(path: Path | str, device: torch.device | str = "cpu") -> LoadedEncoder:
    """Make the encoder of an exported file, ready to run.

    The file is not trusted. Its configs are data that `allow_list` checks; no code of the file runs, no other file is
    opened and nothing is downloaded. Shapes are compared before memory is taken.

    Args:
        path: `encoder.safetensors` of `EncoderExportHook` or `export_encoder`.
        device: where the encoder and its batches are.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, asks for something that is not on the allow-list, or does not hold exactly the
            weights of its encoder. The message names the file and the key.
    """
    path = Path(path)
    header, shapes = read_header(path)
    config = config_from_data(header.encoder, "encoder", f"{path}: encoder")
    preprocessing = config_from_data(header.preprocessor, "preprocessor", f"{path}: preprocessor")
    _refuse_misfit(build_encoder(config, "meta", f"{path}: encoder").state_dict(), shapes, path)
    weights, _ = read_encoder(path)
    encoder = build_encoder(config, "cpu", f"{path}: encoder")
    own = encoder.state_dict()
    _refuse_misfit(own, weights, path)
    encoder.load_state_dict(weights)
    prefixes = {name: f"{name}." for name, child in encoder.named_children() if child.state_dict()}
    coverage = compare_parts(own, weights, tuple(prefixes.values()))
    parts = {name: coverage[prefix] for name, prefix in prefixes.items()}
    if coverage[""].matched:
        parts["parameters of its own"] = coverage[""]
    preprocessor = build_preprocessor(preprocessing, f"{path}: preprocessor").to(device)
    report = EncoderReport(path, header, parts)
    return LoadedEncoder(encoder.to(device).eval(), preprocessor.eval(), report)


def _expect_shape(name: str, value: Tensor, shapes: list[tuple[int, ...]]) -> None:
    if tuple(value.shape) not in shapes:
        expected = " or ".join(str(list(shape)) for shape in shapes)
        raise UserError(f"{name}: expected shape {expected}, found {list(value.shape)}")


def _refuse_misfit(own: dict[str, Tensor], weights: dict[str, Tensor], path: Path) -> None:
    problems = compare(own, weights).problems()
    if problems:
        raise UserError(f"{path} does not hold the weights of its encoder: {problems}")
