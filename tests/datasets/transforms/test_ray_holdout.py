"""Which rays are held out, and that they stay apart."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ponderv2.datasets import MultiViewResizeCropFlipRotate, RayHoldout, SampleCameraRays
from ponderv2.structures import RayBatch
from tests.factories.rays import RANGE, draw, pixel_rays, tiles


@pytest.mark.parametrize("share", [0.02, 0.1, 0.25, 0.5])
@pytest.mark.parametrize("tile", [2, 4, 8])
def test_the_held_out_share_is_right_everywhere_in_whole_tiles(share, tile):
    v, u = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (896, 1600)), indexing="ij")
    mask = RayHoldout(share, tile).contains(torch.stack([u, v], dim=-1))
    by_tile = mask.reshape(896 // tile, tile, 1600 // tile, tile).double().mean(dim=(1, 3))
    assert set(by_tile.unique().tolist()) == {0.0, 1.0}
    assert mask.double().mean().item() == pytest.approx(share, abs=0.02)
    quarters = by_tile.reshape(2, by_tile.shape[0] // 2, 2, by_tile.shape[1] // 2).mean(dim=(1, 3))
    torch.testing.assert_close(quarters, torch.full_like(quarters, share), rtol=0, atol=0.05)


def test_held_out_tiles_of_a_larger_share_contain_those_of_a_smaller():
    pixels = torch.rand(5000, 2, dtype=torch.float64) * 1000
    small, large = RayHoldout(0.1, 4).contains(pixels), RayHoldout(0.3, 4).contains(pixels)
    assert small.sum() > 300
    assert not (small & ~large).any()


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 0.5))
def test_held_out_and_training_rays_never_share_a_tile(load, seed, share):
    holdout = dict(share=share)
    np.random.seed(seed)
    train = draw(load(), rays_per_camera=4000, holdout=holdout, split="train")
    held = draw(load(), rays_per_camera=4000, holdout=holdout, split="heldout")
    assert held.has_depth.any()
    assert pixel_rays(held).any()
    assert not tiles(train) & tiles(held)


def original_pixels(rays: RayBatch, img_aug: np.ndarray) -> torch.Tensor:
    """Where the pixels of rays were before the 2-D augmentation, `[N, R, 2]`."""
    inverse = torch.from_numpy(np.linalg.inv(img_aug))
    return rays.pixels.double() @ inverse[:, :2, :2].transpose(1, 2) + inverse[:, None, :2, 2]


def rotated(load, seed: int) -> dict:
    np.random.seed(seed)
    turn = MultiViewResizeCropFlipRotate((60, 100), resize=(0.6, 0.9), crop=(0.0, 1.0), flip=0.5, rotate=(-0.4, 0.4))
    return turn(load())


def test_the_splits_stay_apart_when_images_are_augmented(load):
    seen = {"train": set(), "heldout": set()}
    for seed in range(4):
        for split, found in seen.items():
            results = rotated(load, seed + 10 * (split == "heldout"))
            rays = draw(results, rays_per_camera=1000, holdout=dict(share=0.2), split=split)
            cells = torch.floor((original_pixels(rays, results["img_aug"])[rays.valid] + 0.5) / 16)
            # float32 pixels at the edge of a tile may round to the neighbour: look at the inside of tiles.
            found |= {tuple(c) for c in cells.int().tolist()}
    assert len(seen["heldout"]) > 3
    inside = seen["heldout"] & seen["train"]
    assert len(inside) <= 0.05 * len(seen["heldout"])


def test_no_ray_starts_where_rotation_left_the_image_black(load):
    results = rotated(load, 3)
    rays = draw(results, rays_per_camera=60 * 100, sky_region=0.0)
    original = original_pixels(rays, results["img_aug"])[rays.valid]
    assert (original > -0.51).all()
    assert (original < torch.tensor([160.0, 90.0]) - 0.49).all()
    assert not rays.valid.all(), "the corners were not uncovered"


def test_training_and_held_out_rays_together_are_all_rays(load):
    def count(split: str) -> int:
        options = dict(color=False, rays_per_camera=5000, holdout=dict(share=0.2), split=split)
        return int(draw(load(decode=False), **options).valid.sum())

    assert count("train") + count("heldout") == count("all")
    assert count("heldout") == pytest.approx(0.2 * count("all"), rel=0.25)


def test_the_hash_of_tiles_never_changes():
    # Results of runs with other tiles could not be compared.
    tiles = torch.tensor([[u, v] for v in range(4) for u in range(6)], dtype=torch.float64) * 16
    held_out = RayHoldout(0.3).contains(tiles).reshape(4, 6)
    assert held_out.int().tolist() == [[1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0], [0, 0, 1, 0, 1, 1], [0, 0, 1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"split": "test"}, "split: expected 'train', 'heldout' or 'all', got 'test'"),
        ({"split": "heldout"}, r"split 'heldout' needs a holdout, such as holdout=dict\(share=0.1, tile=16\)"),
        ({"holdout": dict(share=1.0)}, r"holdout\.share: expected a share in \(0, 1\), got 1.0"),
        ({"holdout": dict(share=-0.1)}, r"holdout\.share: expected a share in \(0, 1\), got -0.1"),
        ({"holdout": dict(share=0.1, tile=0)}, r"holdout\.tile: expected at least 1 pixel, got 0"),
    ],
)
def test_contradictions_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        SampleCameraRays(RANGE, **kwargs)
