"""Ray targets: which rays to render and what they should see."""

import hashlib
import math

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch import Tensor

from ponderv2.geometry import rays_through_pixels, sample_image, visible_returns
from ponderv2.registry import TRANSFORMS
from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import RayBatch

from .loading import rig_of


@TRANSFORMS.register_module()
class SampleRays(BaseTransform):
    """A fixed number of rays a camera, towards LiDAR returns and through pixels (UniPAD §3.3 "depth-aware").

    LiDAR returns inside the volume and an image are z-buffered: of those that share a pixel the nearest is
    kept. Some of them become rays with a depth; the rest of the rays go through random pixels of the lower
    part of the image and carry a colour alone. Colours are bilinear, from the image as it is before
    normalisation. Where there are not enough candidates, rays are marked invalid. Adds `rays` and `rig`.

    Held-out rays: the image is cut into tiles and a fixed share of them, by a hash of their place, is never
    used by `split="train"`; `split="heldout"` uses nothing else.

    Where there are no cameras, rays start at the LiDAR instead (`origin="lidar"`): one bundle of R rays to returns,
    as if from one camera that sees all around. Its picture is a panorama of 0.2° cells, which takes the place of
    the image for the z-buffer and for the tiles. No `rig` is added. Returns of earlier sweeps are seen from where
    the LiDAR is at the key frame.

    Args:
        rays_per_camera: R; published 512.
        lidar_share: of the rays at most this share goes to LiDAR returns; published 1.
        point_cloud_range: of the volume; returns outside cannot be rendered.
        radius: (low, high) horizontal distance of returns from the LiDAR, metres; published (3, 50) for the
            small camera recipe and (3, 100) otherwise.
        sky_region: share of the image, from the top, where no pixel rays start; published 0.4.
        max_lag: only returns at most this many seconds old are targets; 0 takes those of the key frame alone.
            Published: all that were loaded, those of things that moved since included.
        color: sample colours (needs decoded images). Without, images need not be decoded.
        origin: "cameras" or "lidar".
        holdout: share of tiles held out.
        tile: edge of a tile in pixels of the original image, so that augmentation does not mix the splits.
        split: "train", "heldout" or "all".
        seed: a number makes the choice depend on it and the sample alone, the same at every call; None draws
            from numpy's global generator, which the data loader seeds.
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
        origin: str = "cameras",
        holdout: float = 0.0,
        tile: int = 16,
        split: str = "train",
        seed: int | None = None,
    ) -> None:
        if split not in ("train", "heldout", "all"):
            raise ValueError(f"split: expected 'train', 'heldout' or 'all', got {split!r}")
        if not 0 <= holdout < 1:
            raise ValueError(f"holdout: expected a share in [0, 1), got {holdout}")
        if split == "heldout" and holdout == 0:
            raise ValueError("split 'heldout' needs holdout > 0")
        if origin not in ("cameras", "lidar"):
            raise ValueError(f"origin: expected 'cameras' or 'lidar', got {origin!r}")
        if origin == "lidar" and color:
            raise ValueError("origin 'lidar' has no colours: set color=False")
        self.point_cloud_range = tuple(point_cloud_range)
        self.rays_per_camera = rays_per_camera
        self.lidar_share = lidar_share
        self.radius = tuple(radius)
        self.sky_region = sky_region
        self.max_lag = max_lag
        self.color = color
        self.origin = origin
        self.holdout, self.tile, self.split = holdout, tile, split
        self.seed = seed

    def transform(self, results: dict) -> dict:
        rng = self._generator(results)
        returns = results["points"].tensor
        points = returns[returns[:, 4] <= self.max_lag, :3].double()
        points = points[self._renderable(points)]
        if self.origin == "lidar":
            results["rays"] = self._rays_from_lidar(points, torch.from_numpy(results["lidar_aug"][:3, 3]), rng)
            return results
        if len(results.get("image_sizes", ())) == 0:
            where = results.get("info_name", "sample")
            raise ValueError(
                f"{where}: no cameras to start rays from; put LoadCameras before SampleRays, or set origin='lidar'"
            )
        rig = rig_of(results)
        pixels, distance = visible_returns(points, rig)
        chosen, depth, valid = [], [], []
        for camera in range(rig.num_cameras):
            candidates = _Candidates(
                self, rig.image_size[camera], results["original_sizes"][camera], results["img_aug"][camera]
            )
            choice = self._choose(pixels[camera], distance[camera], candidates, rng)
            for values, value in zip((chosen, depth, valid), choice, strict=True):
                values.append(value)
        chosen, depth, valid = torch.stack(chosen), torch.stack(depth), torch.stack(valid)
        origins, directions = rays_through_pixels(chosen, rig.img2lidar)
        rgb = None
        if self.color:
            rgb = torch.stack([_colors(image, uv) for image, uv in zip(results["img"], chosen, strict=True)])
        results["rig"] = rig
        results["rays"] = RayBatch(origins.float(), directions.float(), valid, depth.float(), chosen.float(), rgb)
        return results

    def _rays_from_lidar(
        self, points: Float[Tensor, "p 3"], center: Float[Tensor, "3"], rng: np.random.Generator
    ) -> RayBatch:
        """One bundle of rays `[1, R]` from the LiDAR to returns."""
        pixels, distance, directions = nearest_in_panorama(points - center)
        if self.split != "all" and self.holdout > 0:
            held_out = held_out_pixels(pixels, self.holdout, self.tile)
            usable = held_out if self.split == "heldout" else ~held_out
            pixels, distance, directions = pixels[usable], distance[usable], directions[usable]
        picked = torch.from_numpy(rng.permutation(len(distance))[: self.rays_per_camera])
        missing = self.rays_per_camera - len(picked)
        # What is missing looks ahead, so that it can be computed and then ignored.
        ahead = directions.new_tensor([0.0, 1.0, 0.0]).expand(missing, 3)
        directions = torch.cat([directions[picked], ahead])
        return RayBatch(
            origins=center.expand_as(directions)[None].float(),
            directions=directions[None].float(),
            valid=(torch.arange(self.rays_per_camera) < len(picked))[None],
            depth=torch.cat([distance[picked], distance.new_zeros(missing)])[None].float(),
            pixels=torch.cat([pixels[picked], pixels.new_zeros(missing, 2)])[None].float(),
        )

    def _generator(self, results: dict) -> np.random.Generator:
        if self.seed is None:
            return np.random.default_rng(np.random.randint(2**31))
        name = f"{self.seed} {results.get('token', results.get('sample_idx', ''))}".encode()
        return np.random.default_rng(int.from_bytes(hashlib.sha256(name).digest()[:8], "little"))

    def _renderable(self, points: Float[Tensor, "p 3"]) -> Bool[Tensor, "p"]:
        lower, upper = (
            points.new_tensor(self.point_cloud_range[:3]),
            points.new_tensor(self.point_cloud_range[3:]),
        )
        radius = points[:, :2].norm(dim=1)
        inside = ((points >= lower) & (points < upper)).all(dim=1)
        return inside & (radius > self.radius[0]) & (radius < self.radius[1])

    def _choose(
        self,
        pixels: Float[Tensor, "p 2"],
        distance: Float[Tensor, "p"],
        candidates: "_Candidates",
        rng: np.random.Generator,
    ) -> tuple[Float[Tensor, "r 2"], Float[Tensor, "r"], Bool[Tensor, "r"]]:
        """Pixels, depths (0: none) and validity of the rays of one camera."""
        usable = candidates.usable(pixels)
        pixels, distance = pixels[usable], distance[usable]
        count = min(len(pixels), round(self.rays_per_camera * self.lidar_share))
        picked = torch.from_numpy(rng.permutation(len(pixels))[:count])
        # Without a loss of colour a ray without a depth has nothing to say.
        others = candidates.draw(self.rays_per_camera - count if self.color else 0, rng)
        missing = self.rays_per_camera - count - len(others)
        chosen = torch.cat([pixels[picked], others, others.new_zeros(missing, 2)])
        depth = torch.cat([distance[picked], distance.new_zeros(self.rays_per_camera - count)])
        return chosen, depth, torch.arange(self.rays_per_camera) < self.rays_per_camera - missing


class _Candidates:
    """The pixels of one view where a ray may start: on the picture, below the sky, in the split."""

    def __init__(
        self, rules: SampleRays, size: Int[Tensor, "2"], original_size: np.ndarray, img_aug: np.ndarray
    ) -> None:
        self.rules = rules
        self.height, self.width = (int(v) for v in size)
        self.original_size = torch.from_numpy(original_size).flip(0)
        self.to_original = torch.from_numpy(np.linalg.inv(img_aug))

    def usable(self, pixels: Float[Tensor, "p 2"]) -> Bool[Tensor, "p"]:
        """Which pixels show the original image (rotation and cropping leave black corners), in a tile of the split."""
        original = pixels @ self.to_original[:2, :2].T + self.to_original[:2, 2]
        shown = ((original >= -0.5) & (original < self.original_size - 0.5)).all(dim=1)
        if self.rules.split == "all" or self.rules.holdout == 0:
            return shown
        held_out = held_out_pixels(original, self.rules.holdout, self.rules.tile)
        return shown & (held_out if self.rules.split == "heldout" else ~held_out)

    def draw(self, count: int, rng: np.random.Generator) -> Float[Tensor, "n 2"]:
        """Up to `count` different usable pixels below the sky region; fewer only where there are no more."""
        top = int(self.height * self.rules.sky_region)
        total = (self.height - top) * self.width
        share = {"train": 1 - self.rules.holdout, "heldout": self.rules.holdout, "all": 1.0}[self.rules.split]
        found = torch.zeros(0, 2, dtype=torch.float64)
        # Mostly the first draw has enough usable ones; if not, all pixels are looked at.
        for draws in (min(total, int(1.5 * count / share) + 64), total):
            flat = torch.from_numpy(rng.choice(total, draws, replace=False))
            pixels = torch.stack([flat % self.width, top + flat // self.width], dim=1).double()
            found = pixels[self.usable(pixels)][:count]
            if len(found) == count:
                break
        return found


_PANORAMA = (1800, 900)
"""Columns and rows of the LiDAR's panorama: 0.2°, finer than a spinning LiDAR's steps."""


def nearest_in_panorama(
    rays: Float[Tensor, "p 3"],
) -> tuple[Float[Tensor, "q 2"], Float[Tensor, "q"], Float[Tensor, "q 3"]]:
    """Of the returns in each cell of the panorama around the LiDAR, the nearest one.

    Args:
        rays: from the LiDAR to the returns, metres.

    Returns:
        Pixels (u, v) with integers at the centres of cells, u counter-clockwise from -x and v downwards; distances
        in metres; unit directions.
    """
    distance = rays.norm(dim=1)
    directions = rays / distance[:, None].clamp(min=1e-9)
    columns, rows = _PANORAMA
    u = (torch.atan2(rays[:, 1], rays[:, 0]) / (2 * math.pi) + 0.5) * columns - 0.5
    v = (0.5 - torch.asin(directions[:, 2].clamp(-1, 1)) / math.pi) * rows - 0.5
    cell = torch.floor(v + 0.5).long() * columns + torch.floor(u + 0.5).long() % columns
    order = np.lexsort((distance.numpy(), cell.numpy()))
    _, first = np.unique(cell.numpy()[order], return_index=True)
    nearest = torch.from_numpy(order[first])
    return torch.stack([u, v], dim=1)[nearest], distance[nearest], directions[nearest]


def held_out_pixels(pixels: Float[Tensor, "*p 2"], share: float, tile: int) -> Bool[Tensor, "*p"]:
    """Which original pixels (u, v) lie in held-out tiles: a fixed hash of the tile's place, the same in every image."""
    cell = torch.div(torch.floor(pixels + 0.5), tile, rounding_mode="floor").long()
    mixed = (cell[..., 0] * 73856093) ^ (cell[..., 1] * 19349663)
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return ((mixed ^ (mixed >> 16)) & 0xFFFF).double() / 0x10000 < share


def _colors(image: np.ndarray, pixels: Float[Tensor, "r 2"]) -> Float[Tensor, "r 3"]:
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255
    return sample_image(tensor, pixels.float())
