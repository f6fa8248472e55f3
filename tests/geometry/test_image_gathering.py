"""Features of images at the pixels of points."""

import torch

from ponderv2.geometry import gather_image_features, in_image, project, sample_image
from ponderv2.structures import MapCells, lead_of
from tests.factories.small_rig import small_rig


def _rig(cameras: int = 2):
    rig = small_rig(cameras).to("cpu", torch.float64)
    return rig.lidar2img[0], rig.image_size[0], rig.padded_size


def _points(count: int = 200) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(count, 3, generator=generator, dtype=torch.float64) - 0.5) * torch.tensor([30.0, 30.0, 6.0])


def _ramps(
    padded: tuple[int, int], strides: tuple[int, ...], cameras: int = 2, start: float | None = None
) -> list[torch.Tensor]:
    """Maps whose two channels are the pixel (u, v) at the centre of each cell; the first is on pixel `start`."""
    maps = []
    for stride in strides:
        first = (stride - 1) / 2 if start is None else start
        v, u = (torch.arange(n // stride, dtype=torch.float64) * stride + first for n in padded)
        v, u = torch.meshgrid(v, u, indexing="ij")
        maps.append(torch.stack([u, v]).repeat(cameras, 1, 1, 1))
    return maps


def test_a_point_reads_its_own_pixel_at_every_stride():
    lidar2img, size, padded = _rig()
    points = _points()
    found = gather_image_features(points, _ramps(padded, (2, 4)), [MapCells(2), MapCells(4)], lidar2img, size)
    seen = 0
    for camera in range(2):
        pixels, depth = project(points, lidar2img[camera])
        # Beyond the outermost centres of the cells the border is repeated.
        inner = (pixels > 2).all(dim=1) & (pixels[:, 0] < padded[1] - 3) & (pixels[:, 1] < padded[0] - 3)
        visible = (depth > 0.1) & in_image(pixels, size[camera]) & inner
        torch.testing.assert_close(found[visible], pixels[visible])
        seen += int(visible.sum())
    assert seen > 20


def test_cells_that_do_not_tile_the_image_are_read_where_they_are():
    lidar2img, size, padded = _rig()
    points = _points()
    cells = [MapCells(stride, lead_of(stride, 0.0)) for stride in (2, 4)]
    found = gather_image_features(points, _ramps(padded, (2, 4), start=0.0), cells, lidar2img, size)
    pixels, depth = project(points, lidar2img[0])
    inner = (pixels > 0).all(dim=1) & (pixels[:, 0] < padded[1] - 4) & (pixels[:, 1] < padded[0] - 4)
    alone = ~in_image(project(points, lidar2img[1])[0], size[1])
    visible = (depth > 0.1) & in_image(pixels, size[0]) & inner & alone
    assert visible.sum() > 5
    torch.testing.assert_close(found[visible], pixels[visible])


def test_points_that_no_camera_sees_get_zeros_and_those_that_two_see_the_mean():
    lidar2img, size, padded = _rig(1)
    twice, sizes = lidar2img.repeat(2, 1, 1), size.repeat(2, 1)
    points = _points()
    pixels, depth = project(points, lidar2img[0])
    visible = (depth > 1e-5) & in_image(pixels, size[0])
    assert 0 < visible.sum() < len(points)
    maps = [torch.stack([torch.full((1, *padded), 1.0), torch.full((1, *padded), 3.0)]).double()]
    found = gather_image_features(points, maps, [MapCells(1)], twice, sizes)
    torch.testing.assert_close(found[:, 0], 2.0 * visible.double())


def test_at_stride_one_it_is_the_interpolation_of_the_image():
    lidar2img, size, padded = _rig(1)
    image = torch.randn(3, *padded, dtype=torch.float64)
    points = _points()
    pixels, depth = project(points, lidar2img[0])
    visible = (depth > 1e-5) & in_image(pixels, size[0])
    found = gather_image_features(points, [image[None]], [MapCells(1)], lidar2img, size)
    torch.testing.assert_close(found[visible], sample_image(image, pixels[visible]))
