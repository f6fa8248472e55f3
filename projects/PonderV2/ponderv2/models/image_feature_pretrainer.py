"""Pre-training by rendering, with features of images beside colors and depth (ConDense; DistillNeRF)."""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.geometry import sample_maps
from ponderv2.heads.keypoints import (
    RULES,
    SOURCES,
    KeypointBranch,
    KeypointView,
    fused_keypoints,
    image_keypoints,
    random_keypoints,
    rule_keypoints,
    volume_keypoints,
)
from ponderv2.registry import MODELS
from ponderv2.shapes import Float
from ponderv2.structures import FeatureVolume, ImageFeatures, Keypoints, RayBatch, SensorBatch
from ponderv2.teachers import (
    agreement,
    direction_moments,
    effective_rank,
    other_views,
    ray_ends,
    spread_of,
    unmatched_agreement,
)

from .rendering_pretrainer import RenderingPretrainer, rays_of
from .second_view import derived_generator, second_view


@MODELS.register_module()
class ImageFeaturePretrainer(RenderingPretrainer):
    """A `RenderingPretrainer` that also renders features, and compares them with those of an image branch.

    Losses are those of rendering, `loss_feature` among them, and those of the branch. Beside them are measures of
    collapse, of the directions of features of rays with a depth: `spread_2d`, `rank_2d` of the student (of the targets
    where nothing is trained) and `spread_3d`, `rank_3d` of rendered features, see `collapse_measures`; `returns` is the
    number of these rays, without which the measures are not numbers.

    Key points and retrieval read three things of it: `image_features`, `rendered_features` and `volume_features`, in
    the same channels.

    Args:
        encoder: config of an encoder, such as `LidarEncoder`.
        head: config of a `RenderHead` whose objective has a weight for `feature`.
        image_branch: config of a `FrozenImageBranch` (distil) or a `ConsensusImageBranch` (consensus).
        masking: as of `RenderingPretrainer`, like all others.
        keypoints: arguments of `KeypointBranch` but for the channels of volume and maps; None has no key points. They
            need the points of the batch, and should have those of the key frame before (`history=1` of the data set).

    Raises:
        UserError: the head renders no features, or in other channels than the branch has.
    """

    keypoint_rules: ClassVar[tuple[str, ...]] = tuple(RULES)
    """Names of what `rule_keypoints` chooses by."""

    def __init__(
        self,
        encoder: dict,
        head: dict,
        image_branch: dict,
        masking: dict | None = None,
        mask_in_eval: bool = False,
        image_stride: int | None = None,
        keypoints: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(encoder, head, masking, mask_in_eval, image_stride, data_preprocessor, init_cfg)
        self.image_branch = MODELS.build(image_branch)
        rendered = None if self.head.features is None else self.head.features.decoder.out_features
        if rendered != self.image_branch.channels:
            raise UserError(
                f"model.head.feature.channels: expected {self.image_branch.channels}, as many as "
                f"model.image_branch.channels, got {rendered}"
            )
        self.keypoints = None
        if keypoints is not None:
            self.keypoints = KeypointBranch(head["in_channels"], self.image_branch.channels, **keypoints)

    def loss(self, inputs: SensorBatch, data_samples: list | None = None) -> dict[str, Tensor]:
        """Compute the losses of rendering, of the encoder and of the image branch, and measures of collapse."""
        encoded = self._encode(inputs)
        pictures = self.pictures_of(inputs)
        maps = self.image_branch(pictures.images, _digests(inputs, data_samples))
        rays = rays_of(inputs)
        rays = replace(rays, features=sample_maps(maps.target, self.image_branch.cells, rays.pixels))
        output, losses = self.head.render_with_loss(encoded.volume, rays)
        rendered = self.head.rendered_features(output).unflatten(1, rays.valid.shape[1:])
        own = self.image_branch.losses(maps, rays, rendered, pictures)
        shown = maps.target if maps.student is None else maps.student
        flat = sample_maps(shown.detach(), self.image_branch.cells, rays.pixels)
        of_both = [direction_moments(features, rays.has_depth) for features in (flat, rendered)]
        means, moments = (torch.stack(values) for values in zip(*of_both, strict=True))
        (spread_2d, spread_3d), (rank_2d, rank_3d) = spread_of(means, moments), effective_rank(moments)
        measures = {"spread_2d": spread_2d, "rank_2d": rank_2d, "spread_3d": spread_3d, "rank_3d": rank_3d}
        measures["returns"] = rays.has_depth.sum().float()
        losses = losses | encoded.losses | own | measures
        return losses if self.keypoints is None else losses | self._keypoint_losses(inputs, maps.target)

    def _keypoint_losses(self, inputs: SensorBatch, maps: Tensor) -> dict[str, Tensor]:
        again = second_view(inputs, generator=derived_generator(maps.device))
        size = len(again.earlier)
        pictures = self.pictures_of(replace(again.batch, history=())).images
        # Where no sample has an earlier frame, nothing is read of its pictures.
        then = self.image_branch.target_maps(pictures) if bool(again.earlier.any()) else maps
        first = KeypointView(self._whole_volume(inputs), inputs.points, maps, inputs.rig, again.earlier.new_ones(size))
        volume = self._whole_volume(again.batch)
        second = KeypointView(volume, again.batch.points, then, again.batch.rig, again.earlier)
        return self.keypoints.losses(first, second, again.motion, self.image_branch.cells)

    @torch.no_grad()
    def _whole_volume(self, inputs: SensorBatch) -> FeatureVolume:
        """Encode a batch as in evaluation: key points are found in what is not masked, and train no encoder."""
        training = self.encoder.training
        self.encoder.eval()
        volume = self.encoder(inputs).volume
        self.encoder.train(training)
        return volume

    @torch.no_grad()
    def keypoint_view(self, inputs: SensorBatch, data_samples: list | None = None) -> KeypointView:
        """Encode a batch for key points.

        Raises:
            UserError: the model has no key points, or the batch no points.
        """
        if self.keypoints is None:
            raise UserError("ImageFeaturePretrainer: it has no key points; give model.keypoints")
        if inputs.points is None:
            raise UserError("key points: the batch has no LiDAR points; put LoadLidarSweeps into the pipeline")
        maps = self.image_features(inputs, data_samples).maps[0]
        exists = torch.ones(len(maps), dtype=torch.bool, device=maps.device)
        return KeypointView(self._whole_volume(inputs), inputs.points, maps, inputs.rig, exists)

    @torch.no_grad()
    def keypoints_of(self, view: KeypointView, source: str = "lidar") -> list[Keypoints]:
        """Find the key points of each sample of a view.

        Args:
            view: what `keypoint_view` returned.
            source: "lidar" takes those of the volume, "image" those of the pictures, "fusion" those of the volume with
                what pictures say of them.

        Raises:
            UserError: for another source.
        """
        cells = self.image_branch.cells
        if source == "lidar":
            return volume_keypoints(self.keypoints, view)
        if source == "fusion":
            return fused_keypoints(self.keypoints, view, cells)
        if source == "image":
            depths = [self._depths_of(view.volume.with_data(data[None])) for data in view.volume.data]
            return image_keypoints(self.keypoints, view, cells, depths)
        raise UserError(f"source: expected one of {', '.join(SOURCES)}, got {source!r}")

    def random_keypoints(self, view: KeypointView, numbers: list[int], generator: torch.Generator) -> list[Keypoints]:
        """Choose random returns of each sample in place of key points, see `random_keypoints` of the heads."""
        return random_keypoints(self.keypoints, view, numbers, generator)

    def rule_keypoints(self, view: KeypointView, numbers: list[int], rule: str) -> list[Keypoints]:
        """Choose key points of each sample by a rule without a network, see `rule_keypoints` of the heads."""
        return rule_keypoints(self.keypoints, view, numbers, rule)

    def _depths_of(self, volume: FeatureVolume) -> Callable[[Tensor, Tensor], Tensor]:
        def depths(origins: Tensor, directions: Tensor) -> Tensor:
            valid = torch.ones_like(origins[:, 0], dtype=torch.bool)[None, None]
            nothing = torch.zeros_like(origins[:, 0])[None, None]
            rays = RayBatch(origins[None, None], directions[None, None], valid, nothing, origins[None, None, :, :2])
            rendered = self.head.render_chunked(volume, rays)
            return rendered["depth"].where(rendered["opacity"] >= 0.5, 0.0)[0, 0]

        return depths

    @torch.no_grad()
    def image_features(self, inputs: SensorBatch, data_samples: list | None = None) -> ImageFeatures:
        """Compute the maps of the cameras by the image branch, `[B, N, C, h, w]`: one level."""
        maps = self.image_branch(self.pictures_of(inputs).images, _digests(inputs, data_samples))
        return ImageFeatures([maps.target], [self.image_branch.cells])

    def rendered_features(self, volume: FeatureVolume, rays: RayBatch) -> Float[Tensor, "b n r c"]:
        """Render the features of rays `[B, N, R]` through a volume that the encoder computed."""
        return self.head.rendered_features(self.head.render(volume, rays))

    def volume_features(self, volume: FeatureVolume, points: Float[Tensor, "b p 3"]) -> Float[Tensor, "b p c"]:
        """Compute the features of a volume at points in the LiDAR frame (metres)."""
        return self.head.features_at(volume, points)

    def further_images(
        self, inputs: SensorBatch, rays: RayBatch, rendered: dict[str, Tensor]
    ) -> dict[str, Float[Tensor, "b n r 3"]]:
        """Return `image_features`, colors of rendered features, and `target_image_features` of the image branch's."""
        if inputs.images is None:
            return {}
        target = sample_maps(self.image_features(inputs).maps[0], self.image_branch.cells, rays.pixels)
        return {
            "image_features": feature_colors(rendered["features"]),
            "target_image_features": feature_colors(target),
        }

    def further_fields(
        self, inputs: SensorBatch, data_samples: list | None, rays: RayBatch, rendered: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return for predictions how alike features are.

        Returns:
            `feature_cosine` `[B, N, R]` of rendered features and those of the image, `guess_feature_cosine` of the
            mean of the sample in their place; of the same place in two overlapping cameras `view_cosine` `[B]`, and of
            two places in them `view_cosine_unmatched` `[B]`, NaN where there are none; and both, `frozen_view_cosine`
            and `frozen_view_cosine_unmatched`, by the frozen teacher.
        """
        pictures, cells = self.pictures_of(inputs).images, self.image_branch.cells
        digests = _digests(inputs, data_samples)
        target = self.image_branch(pictures, digests).target
        seen = sample_maps(target, cells, rays.pixels)
        units = torch.where(rays.has_depth[..., None], F.normalize(seen, dim=-1), torch.zeros_like(seen))
        mean = units.sum(dim=(1, 2), keepdim=True).expand_as(seen)
        return {
            "feature_cosine": F.cosine_similarity(rendered["features"], seen, dim=-1),
            "guess_feature_cosine": F.cosine_similarity(mean, seen, dim=-1),
            **self._view_cosines("view_cosine", target, rays, inputs),
            **self._view_cosines("frozen_view_cosine", self.image_branch.frozen_maps(pictures, digests), rays, inputs),
        }

    def _view_cosines(
        self, name: str, maps: Tensor, rays: RayBatch, inputs: SensorBatch
    ) -> dict[str, Float[Tensor, "b"]]:
        own = sample_maps(maps, self.image_branch.cells, rays.pixels)
        views = list(other_views(ray_ends(rays), maps, self.image_branch.cells, inputs.rig))
        same, others = [], []
        for b in range(len(maps)):
            of_sample, valid = [(f[b : b + 1], s[b : b + 1]) for f, s in views], rays.has_depth[b : b + 1]
            mine = own[b : b + 1]
            same.append(agreement(mine, mine, of_sample, valid, otherwise=torch.nan))
            others.append(unmatched_agreement(mine, of_sample, valid))
        return {name: torch.stack(same), f"{name}_unmatched": torch.stack(others)}

    def pictures_of(self, inputs: SensorBatch) -> SensorBatch:
        """Return the batch with RGB pictures in [0, 1], also of earlier key frames, as the image branch takes them."""
        if inputs.images is None or inputs.rig is None:
            raise UserError(
                "ImageFeaturePretrainer: the batch has no images; put LoadCameras (decode=True) and SampleCameraRays "
                "into the pipeline"
            )
        to_rgb = self.data_preprocessor.to_rgb
        earlier = tuple(replace(past, images=to_rgb(past.images)) for past in inputs.history)
        return replace(inputs, images=to_rgb(inputs.images), history=earlier)


def feature_colors(features: Float[Tensor, "*n c"]) -> Float[Tensor, "*n 3"]:
    """Return the first three channels of features as RGB in [0, 1]: whitened ones have a deviation of 1."""
    first = F.pad(features[..., :3], (0, max(0, 3 - features.shape[-1])))
    return (first / 4 + 0.5).clamp(0, 1)


def _digests(inputs: SensorBatch, data_samples: list | None) -> list[str | None]:
    if data_samples is None:
        return [None] * len(inputs.images)
    return [sample.metainfo.get("image_digest") for sample in data_samples]
