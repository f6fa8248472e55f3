"""Rays of cameras as targets of rendering: which ones are rendered and what they should see."""

import math

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.geometry import in_image, rays_through_pixels, sample_colors, visible_rows
from ponderv2.registry import TRANSFORMS
from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import RayBatch

from .loading import rig_of
from .ray_holdout import RaySplit
from .renderable_returns import RenderableReturns, classes_of_rays, classes_of_returns, intensities_of_rays
from .sample_generator import sample_generator


@TRANSFORMS.register_module()
class SampleCameraRays(BaseTransform):
    """Draw a fixed number of rays for each camera, to LiDAR returns and through pixels (UniPAD §3.3, "depth-aware").

    LiDAR returns inside the volume and an image are z-buffered: of those that share a pixel the nearest is kept. Some
    of them become rays with a depth; the other rays go through random pixels of the lower part of the image and
    carry a colour alone. Colours are bilinear, from the image as it is before normalisation. Where there are too few
    candidates, rays are marked invalid. The transform adds `rays`, of shape `[N, R]`, and `rig`.

    Args:
        point_cloud_range: (x_min, y_min, z_min, x_max, y_max, z_max) of the volume in metres; returns outside of it
            cannot be rendered.
        rays_per_camera: number R of rays of a camera; published 512.
        lidar_share: largest share of the rays that go to LiDAR returns; published 1.
        radius: (low, high) of the horizontal distance of returns from the LiDAR in metres; published (3, 50) for the
            small camera recipe and (3, 100) otherwise.
        sky_region: share of the image, from the top, where no pixel rays start; published 0.4.
        max_lag: largest age of a return in seconds; 0 takes those of the key frame alone. Published: all that were
            loaded, those of things that moved since included.
        color: whether rays have colours, which needs decoded images.
        holdout: arguments of `RayHoldout`, the tiles of the image that training does not see; None holds nothing out.
        split: "train" takes pixels that are not held out, "heldout" those that are, "all" takes both.
        seed: a number makes the choice depend on it and the sample alone; None draws from numpy's global generator,
            see `sample_generator`.
        semantic: whether rays to LiDAR returns have their classes, which needs `LoadPointLabels`; rays through pixels
            have none.
        intensity: whether rays to LiDAR returns have their intensities.

    Raises:
        ValueError: on contradictory arguments.
        UserError: for a sample without cameras, or without labels where rays are to have classes.
    """

    def __init__(
        self,
        point_cloud_range: tuple[float, ...],
        rays_per_camera: int = 512,
        lidar_share: float = 1.0,
        radius: tuple[float, float] = (3.0, 100.0),
        sky_region: float = 0.4,
        max_lag: float = math.inf,
        color: bool = True,
        holdout: dict | None = None,
        split: str = "train",
        seed: int | None = None,
        semantic: bool = False,
        intensity: bool = False,
    ) -> None:
        self.returns = RenderableReturns(point_cloud_range, radius, max_lag)
        self.rays_per_camera = rays_per_camera
        self.lidar_share = lidar_share
        self.sky_region = sky_region
        self.color = color
        self.split = RaySplit(split, holdout)
        self.seed = seed
        self.semantic = semantic
        self.intensity = intensity

    def transform(self, results: dict) -> dict:
        if len(results.get("image_sizes", ())) == 0:
            where = results.get("info_name", "sample")
            raise UserError(
                f"{where}: no cameras to start rays from; "
                "put LoadCameras before SampleCameraRays, or use SampleLidarRays"
            )
        rng = sample_generator(self.seed, results)
        rig = rig_of(results)
        points, rows = self.returns(results)
        labels = classes_of_returns(results)[rows] if self.semantic else None
        seen, pixels, distance = visible_rows(points, rig)
        chosen, depth, valid, semantic, intensity = [], [], [], [], []
        for camera in range(rig.num_cameras):
            candidates = _CandidatePixels(
                size=rig.image_size[camera],
                original_size=torch.from_numpy(results["original_sizes"][camera]),
                img_aug=results["img_aug"][camera],
                sky_region=self.sky_region,
                split=self.split,
            )
            *choice, picked = self._choose(pixels[camera], distance[camera], candidates, rng)
            for values, value in zip((chosen, depth, valid), choice, strict=True):
                values.append(value)
            if labels is not None:
                semantic.append(classes_of_rays(labels, seen[camera][picked], self.rays_per_camera))
            if self.intensity:
                intensity.append(intensities_of_rays(results, rows[seen[camera][picked]], self.rays_per_camera))
        chosen, depth, valid = torch.stack(chosen), torch.stack(depth), torch.stack(valid)
        origins, directions = rays_through_pixels(chosen, rig.img2lidar)
        rgb = None
        if self.color:
            rgb = torch.stack([sample_colors(image, uv) for image, uv in zip(results["img"], chosen, strict=True)])
        results["rig"] = rig
        results["rays"] = RayBatch(
            origins.float(),
            directions.float(),
            valid,
            depth.float(),
            chosen.float(),
            rgb,
            semantic=torch.stack(semantic) if semantic else None,
            intensity=torch.stack(intensity) if intensity else None,
        )
        return results

    def _choose(
        self,
        pixels: Float[Tensor, "p 2"],
        distance: Float[Tensor, "p"],
        candidates: "_CandidatePixels",
        rng: np.random.Generator,
    ) -> tuple[Float[Tensor, "r 2"], Float[Tensor, "r"], Bool[Tensor, "r"], Int[Tensor, "n"]]:
        """Choose the rays of one camera: their pixels, depths (0: none), validity; and the returns that they go to."""
        usable = candidates.contains(pixels).nonzero()[:, 0]
        count = min(len(usable), round(self.rays_per_camera * self.lidar_share))
        picked = usable[torch.from_numpy(rng.permutation(len(usable))[:count])]
        # Without a loss of colour a ray without a depth has nothing to say.
        others = candidates.draw(self.rays_per_camera - count if self.color else 0, rng)
        missing = self.rays_per_camera - count - len(others)
        chosen = torch.cat([pixels[picked], others, others.new_zeros(missing, 2)])
        depth = torch.cat([distance[picked], distance.new_zeros(self.rays_per_camera - count)])
        return chosen, depth, torch.arange(self.rays_per_camera) < self.rays_per_camera - missing, picked


class _CandidatePixels:
    """The pixels of one view where a ray may start: on the picture, in the split, and below the sky if drawn."""

    def __init__(
        self,
        size: Int[Tensor, "2"],
        original_size: Int[Tensor, "2"],
        img_aug: Float[np.ndarray, "4 4"],
        sky_region: float,
        split: RaySplit,
    ) -> None:
        self.height, self.width = (int(v) for v in size)
        self.original_size = original_size
        self.to_original = torch.from_numpy(np.linalg.inv(img_aug))
        self.top = int(self.height * sky_region)
        self.split = split

    def contains(self, pixels: Float[Tensor, "p 2"]) -> Bool[Tensor, "p"]:
        """Tell which pixels are in the split and show the image, for rotation and cropping leave black corners."""
        original = pixels @ self.to_original[:2, :2].T + self.to_original[:2, 2]
        return in_image(original, self.original_size) & self.split.contains(original)

    def draw(self, count: int, rng: np.random.Generator) -> Float[Tensor, "n 2"]:
        """Draw up to `count` different pixels below the sky region; fewer only where there are no more."""
        total = (self.height - self.top) * self.width
        found = torch.zeros(0, 2, dtype=torch.float64)
        # Mostly the first draw has enough usable ones; if not, all pixels are looked at.
        for draws in (min(total, int(1.5 * count / self.split.share) + 64), total):
            flat = torch.from_numpy(rng.choice(total, draws, replace=False))
            pixels = torch.stack([flat % self.width, self.top + flat // self.width], dim=1).double()
            found = pixels[self.contains(pixels)][:count]
            if len(found) == count:
                break
        return found
