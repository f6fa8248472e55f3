"""Rays of a lattice of pixels. Rays through single pixels are tested with the projection."""

import torch

from ponderv2.geometry import lattice_rays, project
from ponderv2.structures import CameraRig
from tests.factories.camera_ring import HEIGHT, WIDTH, ring


def _batch(*sizes):
    return CameraRig.stack([ring(3, size=size) for size in sizes], (HEIGHT, WIDTH))


def test_lattice_rays_go_through_their_pixels():
    rig = _batch((HEIGHT, WIDTH))
    rays, _ = lattice_rays(rig, 16)
    pixels, depth = project(rays.origins + 7.0 * rays.directions, rig.lidar2img)
    assert (depth > 0).all()
    torch.testing.assert_close(pixels, rays.pixels, atol=1e-6, rtol=0)


def test_the_lattice_starts_at_half_a_stride_and_runs_row_by_row():
    rays, size = lattice_rays(_batch((HEIGHT, WIDTH)), 20)
    assert size == (4, 8)
    pixels = rays.pixels.unflatten(2, size)
    assert pixels[0, 0, :, 0, 1].tolist() == [10, 30, 50, 70]
    assert pixels[0, 0, 0, :, 0].tolist() == [10, 30, 50, 70, 90, 110, 130, 150]
    assert rays.valid.all()
    assert not rays.has_depth.any()
    assert rays.rgb is None


def test_pixels_beyond_a_smaller_image_of_the_batch_are_not_valid():
    rays, size = lattice_rays(_batch((HEIGHT, WIDTH), (45, 80)), 10)
    assert rays.valid[0].all()
    inside = (rays.pixels[1, ..., 0] < 80) & (rays.pixels[1, ..., 1] < 45)
    assert torch.equal(rays.valid[1], inside)
    assert size == (9, 16)
