"""Linear maps of descriptors that are fitted to other drives: whitening, and a common space of pictures and LiDAR."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ponderv2.atomic_files import replacing
from ponderv2.errors import UserError
from ponderv2.shapes import Float

from .descriptor_settings import MODALITIES, DescriptorSettings

FORMAT = "ponderv2.place_projection.v1"


@dataclass(frozen=True)
class Projection:
    """A linear map for each modality; descriptors of both are then of one space, and compared by their cosine.

    Attributes:
        means: mean descriptor of each modality.
        matrices: matrix of each modality, from descriptors to the common space.
        settings: settings of the descriptors.
        encoder: hash of the model that made them.
    """

    means: Mapping[str, Float[np.ndarray, "d"]]
    matrices: Mapping[str, Float[np.ndarray, "d k"]]
    settings: DescriptorSettings
    encoder: str

    def __call__(self, descriptors: Float[np.ndarray, "n d"], modality: str) -> Float[np.ndarray, "n k"]:
        """Project descriptors, to vectors of length one.

        Raises:
            UserError: the projection was not fitted to this modality, or to descriptors of another length.
        """
        if modality not in self.means:
            raise UserError(f"projection: it was fitted to {sorted(self.means)}, not to {modality}")
        if descriptors.shape[1] != len(self.means[modality]):
            raise UserError(
                f"projection: expected descriptors of {len(self.means[modality])} numbers, got {descriptors.shape[1]}"
            )
        projected = (descriptors - self.means[modality]) @ self.matrices[modality]
        return (projected / np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-12)).astype(np.float32)

    @property
    def fingerprint(self) -> str:
        """Hash of the numbers: equal ones project alike."""
        digest = hashlib.sha256()
        for name in sorted(self.means):
            for value in (self.means[name], self.matrices[name]):
                digest.update(f"{name} {value.shape}".encode() + np.ascontiguousarray(value, np.float32).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the projection, `.safetensors`."""
        tensors = {f"{name}.mean": np.ascontiguousarray(value, np.float32) for name, value in self.means.items()}
        tensors |= {f"{n}.matrix": np.ascontiguousarray(value, np.float32) for n, value in self.matrices.items()}
        note = {"format": FORMAT, "settings": json.dumps(self.settings.to_json()), "encoder": self.encoder}
        with replacing(path) as unfinished:
            save_file(tensors, unfinished, metadata=note)

    @staticmethod
    def load(path: Path) -> "Projection":
        """Read a projection.

        Raises:
            UserError: the file is damaged, or holds something else.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                note = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            settings = json.loads(note.get("settings", "null"))
        except (SafetensorError, ValueError, OSError) as error:
            raise UserError(f"projection {path}: no whole safetensors file ({error})") from error
        if note.get("format") != FORMAT:
            raise UserError(f"projection {path}: expected format {FORMAT}, found {note.get('format')}")
        names = {f"{name}.{part}" for name in MODALITIES for part in ("mean", "matrix")}
        modalities = [name for name in MODALITIES if f"{name}.mean" in tensors]
        if not modalities or not set(tensors) <= names or len(tensors) != 2 * len(modalities):
            raise UserError(f"projection {path}: expected a mean and a matrix of lidar, of image or of both")
        for name in modalities:
            mean, matrix = tensors[f"{name}.mean"], tensors[f"{name}.matrix"]
            if mean.ndim != 1 or matrix.ndim != 2 or len(mean) != len(matrix) or not np.isfinite(matrix).all():
                raise UserError(f"projection {path}: {name}: mean and matrix do not fit")
        return Projection(
            {name: tensors[f"{name}.mean"] for name in modalities},
            {name: tensors[f"{name}.matrix"] for name in modalities},
            DescriptorSettings.from_json(settings, f"projection {path}: settings"),
            note.get("encoder", ""),
        )


def fit_whitening(
    descriptors: Float[np.ndarray, "n d"],
    modality: str,
    settings: DescriptorSettings,
    encoder: str,
    channels: int = 128,
) -> Projection:
    """Fit a projection to principal components of equal variance, of one modality (Jégou and Chum, ECCV 2012).

    Args:
        descriptors: descriptors of drives that are not scored.
        channels: number of components, fewer where there are fewer descriptors.
    """
    mean, matrix = _whitening(descriptors, channels)
    return Projection({modality: mean}, {modality: matrix}, settings, encoder)


def fit_common_space(
    image: Float[np.ndarray, "n d"],
    lidar: Float[np.ndarray, "n e"],
    settings: DescriptorSettings,
    encoder: str,
    channels: int = 64,
    ridge: float = 0.1,
) -> Projection:
    """Fit a common space of pictures and LiDAR by canonical correlations of the same key frames (Hotelling 1936).

    Args:
        image: descriptors of pictures, of drives that are not scored.
        lidar: descriptors of LiDAR of the same key frames.
        channels: number of correlations that are kept; each counts by how large it is.
        ridge: what is added to the variance of each modality before it is whitened, as a share of the mean variance.
    """
    parts = [_reduced(descriptors, ridge) for descriptors in (image, lidar)]
    (mean_a, basis_a, white_a), (mean_b, basis_b, white_b) = parts
    left, correlation, right = np.linalg.svd(white_a.T @ white_b / len(image), full_matrices=False)
    kept = min(channels, len(correlation))
    weight = np.sqrt(correlation[:kept].clip(0.0, 1.0))
    return Projection(
        {"image": mean_a, "lidar": mean_b},
        {"image": basis_a @ left[:, :kept] * weight, "lidar": basis_b @ right[:kept].T * weight},
        settings,
        encoder,
    )


def _reduced(descriptors: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, basis `[d, r]` and the whitened descriptors `[n, r]` in it."""
    mean = descriptors.mean(axis=0)
    centered = (descriptors - mean).astype(np.float64)
    _, sizes, axes = np.linalg.svd(centered, full_matrices=False)
    variance = sizes**2 / len(descriptors)
    kept = variance > 1e-9 * variance.max(initial=0.0)
    variance, axes = variance[kept], axes[kept]
    basis = axes.T / np.sqrt(variance + ridge * variance.mean())
    return mean, basis, centered @ basis


def _whitening(descriptors: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    mean, basis, _ = _reduced(descriptors, 0.1)
    return mean, basis[:, :channels]
