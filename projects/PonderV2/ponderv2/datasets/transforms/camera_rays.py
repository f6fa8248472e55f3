"""Rays of cameras as targets of rendering: which ones are rendered and what they should see."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.geometry import rays_through_pixels, sample_colors, visible_rows
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
        to_original = np.linalg.inv(results["img_aug"])
        chosen, depth, valid, semantic, intensity = [], [], [], [], []
        for camera, size in enumerate(rig.image_size.tolist()):
            candidates = _CandidatePixels(
                size=size,
                original_size=results["original_sizes"][camera],
                to_original=to_original[camera],
                sky_region=self.sky_region,
                split=self.split,
            )
            *choice, picked = self._choose(pixels[camera].numpy(), distance[camera].numpy(), candidates, rng)
            for values, value in zip((chosen, depth, valid), choice, strict=True):
                values.append(value)
            if labels is not None:
                semantic.append(classes_of_rays(labels, seen[camera][picked], self.rays_per_camera))
            if self.intensity:
                intensity.append(intensities_of_rays(results, rows[seen[camera][picked]], self.rays_per_camera))
        chosen, depth, valid = (torch.from_numpy(np.stack(values)) for values in (chosen, depth, valid))
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
        pixels: Float[np.ndarray, "p 2"],
        distance: Float[np.ndarray, "p"],
        candidates: "_CandidatePixels",
        rng: np.random.Generator,
    ) -> tuple[Float[np.ndarray, "r 2"], Float[np.ndarray, "r"], Bool[np.ndarray, "r"], Int[Tensor, "n"]]:
        """Choose the rays of one camera: their pixels, depths (0: none), validity; and the returns that they go to."""
        usable = np.flatnonzero(candidates.contains(pixels))
        count = min(len(usable), round(self.rays_per_camera * self.lidar_share))
        picked = usable[rng.permutation(len(usable))[:count]]
        # Without a loss of colour a ray without a depth has nothing to say.
        others = candidates.draw(self.rays_per_camera - count if self.color else 0, rng)
        chosen, depth = np.zeros((self.rays_per_camera, 2)), np.zeros(self.rays_per_camera)
        chosen[:count], depth[:count] = pixels[picked], distance[picked]
        chosen[count : count + len(others)] = others
        return chosen, depth, np.arange(self.rays_per_camera) < count + len(others), torch.from_numpy(picked)


class _CandidatePixels:
    """The pixels of one view where a ray may start: on the picture, in the split, and below the sky if drawn.

    It computes in numpy: calls of few pixels take longer in torch than what they compute.
    """

    def __init__(
        self,
        size: Sequence[int],
        original_size: Int[np.ndarray, "2"],
        to_original: Float[np.ndarray, "4 4"],
        sky_region: float,
        split: RaySplit,
    ) -> None:
        self.height, self.width = size
        self.original_height, self.original_width = original_size.tolist()
        self.to_original = to_original
        self.top = int(self.height * sky_region)
        self.split = split

    def contains(self, pixels: Float[np.ndarray, "p 2"]) -> Bool[np.ndarray, "p"]:
        """Tell which pixels are in the split and show the image, for rotation and cropping leave black corners."""
        u, v = original = self.to_original[:2, :2] @ pixels.T + self.to_original[:2, 2, None]
        inside = (u >= -0.5) & (u < self.original_width - 0.5) & (v >= -0.5) & (v < self.original_height - 0.5)
        return inside & self.split.contains(torch.from_numpy(original).T).numpy()

    def draw(self, count: int, rng: np.random.Generator) -> Float[np.ndarray, "n 2"]:
        """Draw up to `count` different pixels below the sky region; fewer only where there are no more."""
        total = (self.height - self.top) * self.width
        found = np.zeros((0, 2))
        # Mostly the first draw has enough usable ones; if not, all pixels are looked at.
        for draws in (min(total, int(1.5 * count / self.split.share) + 64), total):
            flat = rng.choice(total, draws, replace=False)
            if not count:
                # Drawn all the same, for the other draws of a seed to be what they always were.
                break
            pixels = np.stack([flat % self.width, self.top + flat // self.width], axis=1).astype(np.float64)
            found = pixels[self.contains(pixels)][:count]
            if len(found) == count:
                break
        return found
