"""Pre-training by rendering, with features of images beside colors and depth (ConDense; DistillNeRF)."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.geometry import sample_maps
from ponderv2.registry import MODELS
from ponderv2.shapes import Float
from ponderv2.structures import FeatureVolume, ImageFeatures, RayBatch, SensorBatch
from ponderv2.teachers import agreement, direction_moments, effective_rank, other_views, ray_ends, spread_of

from .rendering_pretrainer import RenderingPretrainer, rays_of


@MODELS.register_module()
class ImageFeaturePretrainer(RenderingPretrainer):
    """A `RenderingPretrainer` that also renders features, and compares them with those of an image branch.

    Losses are those of rendering, `loss_feature` among them, and those of the branch. Beside them are measures of
    collapse, of the directions of features of rays with a depth: `spread_2d`, `rank_2d` of the student (of the targets
    where nothing is trained) and `spread_3d`, `rank_3d` of rendered features, see `collapse_measures`.

    Key points and retrieval read three things of it: `image_features`, `rendered_features` and `volume_features`, in
    the same channels.

    Args:
        encoder: config of an encoder, such as `LidarEncoder`.
        head: config of a `RenderHead` whose objective has a weight for `feature`.
        image_branch: config of a `FrozenImageBranch` (distil) or a `ConsensusImageBranch` (consensus).
        masking: as of `RenderingPretrainer`, like all others.

    Raises:
        UserError: the head renders no features, or in other channels than the branch has.
    """

    def __init__(
        self,
        encoder: dict,
        head: dict,
        image_branch: dict,
        masking: dict | None = None,
        mask_in_eval: bool = False,
        image_stride: int | None = None,
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
        (spread_2d, spread_3d), (rank_2d, rank_3d) = spread_of(means), effective_rank(moments)
        measures = {"spread_2d": spread_2d, "rank_2d": rank_2d, "spread_3d": spread_3d, "rank_3d": rank_3d}
        return losses | encoded.losses | own | measures

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

    def further_fields(
        self, inputs: SensorBatch, data_samples: list | None, rays: RayBatch, rendered: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return for predictions how alike features are.

        Returns:
            `feature_cosine` `[B, N, R]` of rendered features and those of the image, `guess_feature_cosine` of the
            mean of the sample in their place; and of the same place in two overlapping cameras `view_cosine` `[B]`, and
            `frozen_view_cosine` `[B]` by the frozen teacher.
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
            "view_cosine": self._view_cosine(target, rays, inputs),
            "frozen_view_cosine": self._view_cosine(self.image_branch.frozen_maps(pictures, digests), rays, inputs),
        }

    def _view_cosine(self, maps: Tensor, rays: RayBatch, inputs: SensorBatch) -> Float[Tensor, "b"]:
        own = sample_maps(maps, self.image_branch.cells, rays.pixels)
        views = list(other_views(ray_ends(rays), maps, self.image_branch.cells, inputs.rig))
        parts = [slice(b, b + 1) for b in range(len(maps))]
        return torch.stack(
            [agreement(own[b], own[b], [(f[b], s[b]) for f, s in views], rays.has_depth[b]) for b in parts]
        )

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


def _digests(inputs: SensorBatch, data_samples: list | None) -> list[str | None]:
    if data_samples is None:
        return [None] * len(inputs.images)
    return [sample.metainfo.get("image_digest") for sample in data_samples]
