"""Maps of descriptors that are fitted to other drives: what all places share is left out, and pictures meet LiDAR."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ponderv2.atomic_files import replacing
from ponderv2.errors import UserError
from ponderv2.shapes import Float, Int

from .descriptor_settings import MODALITIES, Describer, DescriptorSettings

FORMAT = "ponderv2.place_projection.v2"
_FRAMES = "frames"


@dataclass(frozen=True)
class Projection:
    """An affine map for each modality; descriptors of both are then of one space, and compared by their cosine.

    Attributes:
        means: mean descriptor of each modality, which is subtracted.
        matrices: matrix of each modality, from descriptors to the common space; empty where they stay in their own.
        made_by: what made the descriptors.
        frames: hashes of the tokens of the key frames that it was fitted to, see `hashes_of`.
    """

    means: Mapping[str, Float[np.ndarray, "d"]]
    matrices: Mapping[str, Float[np.ndarray, "d k"]]
    made_by: Describer
    frames: Int[np.ndarray, "f"] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __call__(self, descriptors: Float[np.ndarray, "n d"], modality: str) -> Float[np.ndarray, "n k"]:
        """Project descriptors, to vectors of length one; zeros, of a frame with nothing in it, stay zeros.

        Raises:
            UserError: the projection was not fitted to this modality, or to descriptors of another length.
        """
        if modality not in self.means:
            raise UserError(f"projection: it was fitted to {sorted(self.means)}, not to {modality}")
        if descriptors.shape[1] != len(self.means[modality]):
            raise UserError(
                f"projection: expected descriptors of {len(self.means[modality])} numbers, got {descriptors.shape[1]}"
            )
        projected = descriptors - self.means[modality]
        if modality in self.matrices:
            projected = projected @ self.matrices[modality]
        # Two frames with nothing in them would be alike by the mean that is subtracted.
        projected = projected * descriptors.any(axis=1, keepdims=True)
        return (projected / np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-12)).astype(np.float32)

    @property
    def fingerprint(self) -> str:
        """Hash of the numbers: equal ones project alike."""
        digest = hashlib.sha256()
        for values in (self.means, self.matrices):
            for name, value in sorted(values.items()):
                digest.update(f"{name} {value.shape}".encode() + np.ascontiguousarray(value, np.float32).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the projection, `.safetensors`."""
        tensors = {f"{name}.mean": np.ascontiguousarray(value, np.float32) for name, value in self.means.items()}
        tensors |= {f"{n}.matrix": np.ascontiguousarray(value, np.float32) for n, value in self.matrices.items()}
        tensors[_FRAMES] = np.ascontiguousarray(self.frames, np.int64)
        settings = json.dumps(self.made_by.settings.to_json())
        note = {"format": FORMAT, "settings": settings}
        note |= {"encoder": self.made_by.encoder, "channels": self.made_by.channels}
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
        except (SafetensorError, ValueError, OSError, RecursionError) as error:
            raise UserError(f"projection {path}: no whole safetensors file ({error})") from error
        if note.get("format") != FORMAT:
            raise UserError(
                f"projection {path}: expected format {FORMAT}, found {note.get('format')}; fit it again with "
                "tools/fit_retrieval_projection.py"
            )
        frames = tensors.pop(_FRAMES, None)
        if frames is None or frames.ndim != 1 or frames.dtype != np.int64 or not {"encoder", "channels"} <= set(note):
            raise UserError(f"projection {path}: expected {_FRAMES}, encoder and channels of what it was fitted to")
        names = {f"{name}.{part}" for name in MODALITIES for part in ("mean", "matrix")}
        modalities = [name for name in MODALITIES if f"{name}.mean" in tensors]
        mapped = [name for name in MODALITIES if f"{name}.matrix" in tensors]
        if not modalities or not set(tensors) <= names or mapped not in ([], modalities):
            raise UserError(
                f"projection {path}: expected means of lidar, of image or of both, and matrices of all or none"
            )
        for name in modalities:
            mean, matrix = tensors[f"{name}.mean"], tensors.get(f"{name}.matrix")
            fits = mean.ndim == 1 and (matrix is None or (matrix.ndim == 2 and len(mean) == len(matrix)))
            if not fits or not all(_is_usable(value) for value in (mean, matrix) if value is not None):
                raise UserError(f"projection {path}: {name}: mean and matrix do not fit")
        widths = {name: tensors[f"{name}.matrix"].shape[1] for name in mapped}
        if len(set(widths.values())) > 1:
            raise UserError(f"projection {path}: expected matrices to one space, found columns {widths}")
        settings = DescriptorSettings.from_json(settings, f"projection {path}: settings")
        return Projection(
            {name: tensors[f"{name}.mean"] for name in modalities},
            {name: tensors[f"{name}.matrix"] for name in mapped},
            Describer(settings, note["encoder"], channels=note["channels"]),
            frames,
        )


def hashes_of(tokens: Iterable[str]) -> Int[np.ndarray, "f"]:
    """Return the first 8 bytes of the SHA-256 of each token."""
    digests = b"".join(hashlib.sha256(token.encode()).digest()[:8] for token in tokens)
    return np.frombuffer(digests, "<i8").astype(np.int64)


def fit_centering(
    descriptors: Mapping[str, Float[np.ndarray, "n d"]], made_by: Describer, tokens: Iterable[str] = ()
) -> Projection:
    """Fit what the descriptors of each modality have in common, which is left out.

    Of pictures and LiDAR it differs: sky is in every picture and in no sweep, and a cosine of both is mostly that.

    Args:
        descriptors: descriptors of drives that are not scored, by modality.
        made_by: what made them.
        tokens: tokens of their key frames, on which the projection is not to be scored.
    """
    means = {name: rows.mean(axis=0) for name, rows in descriptors.items()}
    return Projection(means, {}, made_by, hashes_of(tokens))


def fit_common_space(
    image: Float[np.ndarray, "n d"],
    lidar: Float[np.ndarray, "n e"],
    made_by: Describer,
    tokens: Iterable[str] = (),
    channels: int = 64,
    ridge: float = 0.1,
) -> Projection:
    """Fit a common space of pictures and LiDAR by canonical correlations of the same key frames (Hotelling 1936).

    Args:
        image: descriptors of pictures, of drives that are not scored.
        lidar: descriptors of LiDAR of the same key frames.
        made_by: what made both.
        tokens: tokens of their key frames, on which the projection is not to be scored.
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
        made_by,
        hashes_of(tokens),
    )


def _is_usable(value: np.ndarray) -> bool:
    return value.dtype.kind == "f" and value.size > 0 and bool(np.isfinite(value).all())


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
