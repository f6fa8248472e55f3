"""The 2-D branch of pre-training with features: a frozen teacher, or a student in consensus with the volume."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ponderv2.errors import UserError
from ponderv2.geometry import sample_maps
from ponderv2.registry import MODELS
from ponderv2.rendering import feature_loss
from ponderv2.shapes import Float
from ponderv2.structures import MapCells, RayBatch, SensorBatch

from .feature_cache import FeatureCache
from .feature_reduction import FeatureReduction
from .image_teacher import ImageTeacher
from .view_consistency import agreement, moved_to, other_views, ray_ends


@dataclass(frozen=True)
class BranchMaps:
    """Maps of the pictures of a batch.

    Attributes:
        target: what rendered features are compared with, without a gradient.
        student: maps of the network that is trained; None where none is.
        frozen: maps of the frozen teacher; None where nobody asked for them.
    """

    target: Float[Tensor, "b n c h w"]
    student: Float[Tensor, "b n c h w"] | None = None
    frozen: Float[Tensor, "b n c h w"] | None = None


@MODELS.register_module()
class FrozenImageBranch(nn.Module):
    """Maps of a frozen teacher, whitened and reduced, from its cache where they are there: the mode *distil*.

    The teacher is in no checkpoint and no optimizer: whoever loads the model needs its file as well. The reduction is
    in the checkpoints, with the fingerprint of the teacher that it was fitted to; `FitFeatureReductionHook` fits it
    before training.

    Args:
        teacher: config of the teacher, such as `StreetTeacher` or `VisionTransformerTeacher`.
        channels: channels D of the maps, at most those of the teacher.
        cache: arguments of `FeatureCache`; None keeps nothing. Pictures are recognized by `DigestImages`.

    Raises:
        UserError: when weights are loaded, those of another teacher.
    """

    may_be_missing = ("teacher_fingerprint",)
    """Buffers that checkpoints of earlier versions lack, see `check_covering`."""

    def __init__(self, teacher: dict, channels: int = 64, cache: dict | None = None) -> None:
        super().__init__()
        # It comes from a file, and is never without memory for its weights as a model on the meta device is.
        with torch.device("cpu"):
            built = MODELS.build(teacher)
        self.fingerprint = built.fingerprint
        self.cells: MapCells = built.cells
        self.reduction = FeatureReduction(built.channels, channels)
        self.register_buffer(
            "teacher_fingerprint", torch.tensor(list(bytes.fromhex(built.fingerprint)), dtype=torch.uint8)
        )
        self.cache = None if cache is None else FeatureCache(**cache)
        # In a list it is no module of this one, which keeps it out of checkpoints, optimizers and training mode.
        self._frozen = [built.requires_grad_(False).eval()]
        self._key: str | None = None

    @property
    def teacher(self) -> ImageTeacher:
        """The frozen teacher."""
        return self._frozen[0]

    @property
    def channels(self) -> int:
        """The channels of the maps."""
        return self.reduction.channels

    def forward(self, pictures: Float[Tensor, "b n 3 h w"], digests: Sequence[str | None]) -> BranchMaps:
        """Compute the maps of RGB pictures in [0, 1].

        Args:
            pictures: pictures of the cameras.
            digests: hash of the pictures of each sample, by which the cache knows them; None is not in the cache.

        Raises:
            UserError: the reduction is neither fitted nor loaded.
        """
        return BranchMaps(self.frozen_maps(pictures, digests))

    def losses(
        self, maps: BranchMaps, rays: RayBatch, rendered: Float[Tensor, "b n r c"], batch: SensorBatch
    ) -> dict[str, Tensor]:
        """Return the losses of the branch itself: none, as nothing of it is trained."""
        return {}

    def target_maps(self, pictures: Float[Tensor, "b n 3 h w"]) -> Float[Tensor, "b n c y x"]:
        """Compute the maps that rendered features are compared with, of other pictures than those of a step."""
        return self.frozen_maps(pictures, [None] * len(pictures))

    @torch.no_grad()
    def frozen_maps(
        self, pictures: Float[Tensor, "b n 3 h w"], digests: Sequence[str | None]
    ) -> Float[Tensor, "b n c y x"]:
        """Compute the maps of the frozen teacher, or read them from the cache, in the precision of the cache."""
        if self._key is None:
            if not self.reduction.fitted:
                raise UserError(
                    "image branch: the reduction of the teacher's features is not fitted; put FitFeatureReductionHook "
                    "into custom_hooks, or load a checkpoint"
                )
            self._key = f"{self.fingerprint[:12]}_{self.reduction.fingerprint()[:12]}"
        size = f"{pictures.shape[-2]}x{pictures.shape[-1]}"
        keys = [None if digest is None else f"{digest}_{size}_{self._key}" for digest in digests]
        rows, columns = (-(-side // self.cells.stride) for side in pictures.shape[-2:])
        shape, maps = (pictures.shape[1], self.channels, rows, columns), []
        for sample, key in zip(pictures, keys, strict=True):
            known = None if self.cache is None or key is None else self.cache.get(key, shape)
            if known is None:
                known = self.reduction(self.raw_maps(sample)).half()
                if self.cache is not None and key is not None:
                    self.cache.put(key, known)
            maps.append(known.to(pictures.device, non_blocking=True).float())
        return torch.stack(maps)

    @torch.no_grad()
    def raw_maps(self, pictures: Float[Tensor, "v 3 h w"]) -> Float[Tensor, "v c y x"]:
        """Compute the teacher's own features, in float32: what is cached must not hang on the precision of a run."""
        with torch.autocast(pictures.device.type, enabled=False):
            return self.teacher(pictures.float())

    def fit_reduction(self, pictures: Float[Tensor, "v 3 h w"]) -> None:
        """Fit the reduction to all cells of some pictures; a training fits it to the places that it compares."""
        self.reduction.fit([self.raw_maps(pictures).movedim(1, -1).flatten(0, 2)])

    def _load_from_state_dict(
        self,
        state_dict: dict,
        prefix: str,
        local_metadata: dict,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        key = f"{prefix}teacher_fingerprint"
        if key in state_dict:
            found = bytes(state_dict[key].flatten().tolist()).hex()
            if found != self.fingerprint:
                raise UserError(
                    f"image branch: the checkpoint was trained with the teacher {found[:12]}, and model.image_branch."
                    f"teacher is another one, {self.fingerprint[:12]}; expected the same weights and stride"
                )
        elif f"{prefix}reduction.mean" in state_dict:
            print_log(
                "image branch: the checkpoint does not tell its teacher, as it is of an earlier version; "
                f"{self.fingerprint[:12]} is taken for it",
                logger="current",
                level=30,
            )
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        if key in missing_keys:
            missing_keys.remove(key)
        self._key = None

    def _apply(self, fn, recurse: bool = True) -> "FrozenImageBranch":
        self.teacher._apply(fn, recurse)
        return super()._apply(fn, recurse)


@MODELS.register_module()
class ConsensusImageBranch(FrozenImageBranch):
    """A student of the teacher that is trained together with the volume: the mode *consensus* (ConDense).

    The student starts as the teacher. Rendered features are compared with maps of its moving average; the student is
    drawn towards rendered features, towards the average's features of the same place in other pictures (cameras that
    overlap, and earlier key frames where the data set has a history), and, by the anchor, towards the frozen teacher.
    Agreement alone is also reached by features that say nothing (ConDense; the anchor is what keeps them from it).

    Args:
        teacher: config of the teacher.
        channels: channels of the maps.
        cache: arguments of `FeatureCache`, for the maps of the frozen teacher.
        consensus: weight of `1 - cos` of the student's and the rendered features.
        views: weight of `1 - cos` of the student's features and the average's in other views.
        anchor: weight of the mean square of the difference to the teacher's maps, whose channels have variance 1.
        momentum: momentum of the moving average.
        least_agreement: smallest cosine of the average's features of two views of a place that count as one place:
            others are hidden, or have moved.
    """

    def __init__(
        self,
        teacher: dict,
        channels: int = 64,
        cache: dict | None = None,
        consensus: float = 1.0,
        views: float = 1.0,
        anchor: float = 1.0,
        momentum: float = 0.996,
        least_agreement: float = 0.0,
    ) -> None:
        super().__init__(teacher, channels, cache)
        self.consensus, self.views, self.anchor = consensus, views, anchor
        self.momentum, self.least_agreement = momentum, least_agreement
        self.average = copy.deepcopy(self.teacher)
        self.student = copy.deepcopy(self.teacher)
        _train_what_maps_hang_on(self.student)

    def train(self, mode: bool = True) -> "ConsensusImageBranch":
        """Switch the mode of the branch; its networks stay in evaluation, with the norms of the teacher."""
        super().train(mode)
        self.student.eval()
        self.average.eval()
        return self

    def forward(self, pictures: Float[Tensor, "b n 3 h w"], digests: Sequence[str | None]) -> BranchMaps:
        """Compute the maps of the average, the student and the teacher; in training the average moves first."""
        if self.training:
            self._move_average()
        frozen = self.frozen_maps(pictures, digests) if self.training else None
        student = self._maps(self.student, pictures) if self.training else None
        return BranchMaps(self.average_maps(pictures), student, frozen)

    @torch.no_grad()
    def average_maps(self, pictures: Float[Tensor, "b n 3 h w"]) -> Float[Tensor, "b n c y x"]:
        """Compute the maps of the moving average, which are the image features of a trained branch."""
        return self._maps(self.average, pictures)

    def target_maps(self, pictures: Float[Tensor, "b n 3 h w"]) -> Float[Tensor, "b n c y x"]:
        """Compute the maps of the moving average as it is, of other pictures than those of a step."""
        return self.average_maps(pictures)

    def losses(
        self, maps: BranchMaps, rays: RayBatch, rendered: Float[Tensor, "b n r c"], batch: SensorBatch
    ) -> dict[str, Tensor]:
        """Compute the losses of the student, and the agreement of views, to watch.

        Args:
            maps: what `forward` returned in training.
            rays: rays of the cameras.
            rendered: their rendered features; they get no gradient from here.
            batch: cameras, and earlier key frames, with RGB pictures in [0, 1].
        """
        own = sample_maps(maps.student, self.cells, rays.pixels)
        judged = rays.features
        losses = {}
        if self.consensus > 0:
            apart = feature_loss(own, rendered.detach(), rays.has_depth)
            losses["loss_consensus"] = self.consensus * apart
        if self.anchor > 0:
            losses["loss_anchor"] = self.anchor * (maps.student - maps.frozen).square().mean()
        points, valid = ray_ends(rays), rays.has_depth
        views = list(other_views(points, maps.target, self.cells, batch.rig))
        losses["view_cosine"] = agreement(judged, judged, views, valid, self.least_agreement, torch.nan)
        if self.views > 0:
            for moved, past in zip(moved_to(points, batch.history), batch.history, strict=True):
                earlier = self.average_maps(past.images)
                exists = past.exists[:, None, None]
                seen_then = other_views(moved, earlier, self.cells, past.rig, own=True)
                views += [(features, seen & exists) for features, seen in seen_then]
            alike = agreement(own, judged, views, valid, self.least_agreement)
            losses["loss_views"] = self.views * (1 - alike)
        return losses

    def _maps(self, network: ImageTeacher, pictures: Tensor) -> Tensor:
        features = network(pictures.flatten(0, 1)).float()
        with torch.autocast(pictures.device.type, enabled=False):
            return self.reduction(features).unflatten(0, pictures.shape[:2])

    @torch.no_grad()
    def _move_average(self) -> None:
        for own, other in zip(self.average.parameters(), self.student.parameters(), strict=True):
            own.lerp_(other, 1 - self.momentum)


def _train_what_maps_hang_on(network: ImageTeacher) -> None:
    """Let a network be trained but for parameters that its maps do not use, such as those of a pooling head."""
    network.requires_grad_(True)
    picture = torch.rand(1, 3, 2 * network.stride, 2 * network.stride, device="cpu")
    network(picture).sum().backward()
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
