"""Whitening of a teacher's features, and reduction to their first principal components, fitted on the data."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ponderv2.atomic_files import replacing
from ponderv2.errors import UserError
from ponderv2.shapes import Float

FORMAT = "ponderv2.feature_reduction.v1"
_FLOOR = 1e-4
"""Smallest variance of a component, as a share of the largest: smaller ones are noise, which whitening would raise."""


class FeatureReduction(nn.Module):
    """A fixed affine map to D whitened principal components: mean 0, and variance 1 of each.

    It belongs to the run: checkpoints hold it. Until it is fitted or loaded it refuses to work.

    Args:
        in_channels: channels C of the teacher's features.
        channels: number D of components.

    Raises:
        UserError: D is not 1 to C.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        if not 1 <= channels <= in_channels:
            raise UserError(f"channels: expected 1 to {in_channels}, the channels of the teacher, got {channels}")
        self.register_buffer("mean", torch.zeros(in_channels))
        self.register_buffer("components", torch.zeros(channels, in_channels))

    @property
    def channels(self) -> int:
        """The number of components."""
        return self.components.shape[0]

    @property
    def fitted(self) -> bool:
        """Whether the components are known."""
        return bool((self.components != 0).any())

    def forward(self, features: Float[Tensor, "v c h w"]) -> Float[Tensor, "v d h w"]:
        """Compute the components of maps of features."""
        return torch.einsum("dc,vchw->vdhw", self.components, features - self.mean[:, None, None])

    @torch.no_grad()
    def fit(self, features: Iterable[Float[Tensor, "p c"]]) -> Float[Tensor, "c"]:
        """Fit mean and components to features of places, in float64.

        Returns:
            The variances of all components, descending.

        Raises:
            UserError: there are fewer places than components, or a feature is not finite.
        """
        count, width = 0, len(self.mean)
        total = torch.zeros(width, dtype=torch.float64)
        square = torch.zeros(width, width, dtype=torch.float64)
        for part in features:
            rows = part.double().cpu()
            count, total, square = count + len(rows), total + rows.sum(dim=0), square + rows.t() @ rows
        if count <= self.channels or not square.isfinite().all():
            raise UserError(
                f"feature reduction: expected finite features of more than {self.channels} places to fit "
                f"{self.channels} components, got {count}"
            )
        mean = total / count
        variance, vectors = torch.linalg.eigh(square / count - torch.outer(mean, mean))
        variance, vectors = variance.flip(0).clamp(min=0), vectors.flip(1)
        # The sign of a component is anybody's choice; this one does not hang on the solver.
        vectors = vectors * torch.where(vectors.gather(0, vectors.abs().argmax(dim=0)[None])[0] < 0, -1.0, 1.0)
        scale = variance.clamp(min=_FLOOR * float(variance[0])).clamp(min=1e-12).rsqrt()
        self.mean.copy_(mean)
        self.components.copy_((vectors * scale).t()[: self.channels])
        return variance.float()

    def fingerprint(self) -> str:
        """Return a hash of the map, hexadecimal."""
        values = torch.cat([self.mean.flatten(), self.components.flatten()]).detach().float().cpu().contiguous()
        return hashlib.sha256(values.numpy().tobytes()).hexdigest()

    def save(self, path: Path, teacher: str) -> None:
        """Write the map to a safetensors file, replacing it in one step; `teacher` is its fingerprint."""
        tensors = {key: value.detach().cpu().contiguous() for key, value in self.state_dict().items()}
        with replacing(path) as unfinished:
            save_file(tensors, unfinished, metadata={"format": FORMAT, "teacher": teacher})

    def load(self, path: Path, teacher: str) -> None:
        """Read a map that `save` wrote.

        Raises:
            UserError: the file is missing, damaged or of another teacher or size, or its numbers are no reduction.
        """
        if not path.is_file():
            raise UserError(f"feature reduction {path}: no such file")
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise UserError(f"{path}: no whole safetensors file ({error}); delete it to have it fitted anew") from error
        if header.get("format") != FORMAT or header.get("teacher") != teacher:
            raise UserError(
                f"{path}: expected a reduction of the features of teacher {teacher[:12]}, found format "
                f"{header.get('format')} and teacher {str(header.get('teacher'))[:12]}; delete it to fit it anew"
            )
        own = {key: tuple(value.shape) for key, value in self.state_dict().items()}
        found = {key: tuple(value.shape) for key, value in tensors.items()}
        if own != found:
            raise UserError(
                f"{path}: expected tensors of shapes {own}, found {found}; delete it to have it fitted anew"
            )
        finite = all(value.is_floating_point() and value.isfinite().all() for value in tensors.values())
        if not finite or not tensors["components"].any(dim=1).all():
            raise UserError(
                f"{path}: expected finite floating-point numbers, and no component of zeros; delete it to have it "
                "fitted anew"
            )
        self.load_state_dict(tensors)
