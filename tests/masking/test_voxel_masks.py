"""Block masks of voxels: exact share a sample, whole blocks, reproducible; and the masking that draws them."""

import pytest
import torch

from ponderv2.masking import InputMasking, draw_voxel_mask
from ponderv2.structures import VoxelGrid
from tests.factories.voxels import random_voxels

GRID = VoxelGrid((-8.0, -8.0, -2.0, 8.0, 8.0, 2.0), (64, 64, 16))


@pytest.fixture(scope="module")
def coordinates():
    return random_voxels(GRID, share=0.01).coordinates


def draw(coordinates: torch.Tensor, seed: int = 0, batch_size: int = 2, **kwargs) -> torch.Tensor:
    return draw_voxel_mask(coordinates, batch_size, generator=torch.Generator().manual_seed(seed), **kwargs)


def blocks_of(coordinates: torch.Tensor, sample: int, edges: tuple[int, int, int]) -> set[tuple[int, ...]]:
    mine = coordinates[coordinates[:, 0] == sample, 1:]
    return {(z // edges[2], y // edges[1], x // edges[0]) for z, y, x in mine.tolist()}


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("block", [1, 3, 8, (4, 8, 16)])
def test_every_sample_keeps_exactly_the_rounded_share_of_its_occupied_blocks(coordinates, ratio, block):
    edges = (block,) * 3 if isinstance(block, int) else block
    visible = draw(coordinates, block=block, ratio=ratio)
    for sample in range(2):
        everything = blocks_of(coordinates, sample, edges)
        shown = blocks_of(coordinates[visible], sample, edges)
        hidden = blocks_of(coordinates[~visible], sample, edges)
        assert len(shown) == round(len(everything) * (1 - ratio))
        assert not shown & hidden, "a block is visible in part"


def test_a_seed_fixes_the_mask_and_another_seed_changes_it(coordinates):
    assert torch.equal(draw(coordinates, 3), draw(coordinates, 3))
    assert not torch.equal(draw(coordinates, 3), draw(coordinates, 4))


def test_without_a_generator_the_seed_of_torch_decides(coordinates):
    torch.manual_seed(5)
    first = draw_voxel_mask(coordinates, 2)
    torch.manual_seed(5)
    assert torch.equal(first, draw_voxel_mask(coordinates, 2))


def test_the_order_of_voxels_does_not_matter_to_what_is_hidden(coordinates):
    order = torch.randperm(len(coordinates))
    assert torch.equal(draw(coordinates)[order], draw(coordinates[order]))


def test_samples_with_the_same_voxels_have_masks_of_their_own(coordinates):
    one = coordinates[coordinates[:, 0] == 0]
    both = torch.cat([one, one + torch.tensor([1, 0, 0, 0], dtype=torch.int32)])
    visible = draw(both, block=4)
    assert not torch.equal(*visible.chunk(2))


def test_every_block_is_hidden_as_often_as_another(coordinates):
    one = coordinates[coordinates[:, 0] == 0][:60]
    generator = torch.Generator().manual_seed(0)
    share = torch.stack([~draw_voxel_mask(one, 1, 1, 0.8, generator) for _ in range(2000)]).float().mean(0)
    assert (share - 0.8).abs().max() < 0.05  # five standard deviations of 2000 draws


def test_samples_without_voxels_and_batches_without_any_are_fine(coordinates):
    middle = coordinates[coordinates[:, 0] == 0] + torch.tensor([1, 0, 0, 0], dtype=torch.int32)
    visible = draw(middle, batch_size=3, ratio=0.5, block=4)
    assert 0 < visible.sum() < len(visible)
    assert draw(coordinates[:0]).shape == (0,)


def test_one_block_alone_is_hidden_at_the_published_ratio():
    assert not draw(torch.tensor([[0, 1, 2, 3], [0, 1, 2, 4]], dtype=torch.int32), batch_size=1).any()


@pytest.mark.parametrize(("kwargs", "message"), [({"ratio": 1.0}, "not 1.0"), ({"block": 0}, "at least 1 voxel")])
def test_impossible_masks_are_refused(coordinates, kwargs, message):
    with pytest.raises(ValueError, match=message):
        draw(coordinates, **kwargs)


def test_the_plan_draws_what_it_says_and_nothing_at_ratio_0(coordinates):
    plan = InputMasking(point_ratio=0.5, point_block=[4, 4, 16], generator=torch.Generator().manual_seed(1))
    expected = draw(coordinates, 1, ratio=0.5, block=(4, 4, 16))
    assert torch.equal(plan.draw_voxel_mask(coordinates, 2), expected)
    assert InputMasking(point_ratio=0.0).draw_voxel_mask(coordinates, 2) is None


def test_a_sample_never_loses_both_sensors():
    plan = InputMasking(drop_camera=0.3, drop_lidar=0.5, generator=torch.Generator().manual_seed(0))
    kept = plan.draw_sensors(4000)
    assert kept.any(dim=1).all()
    camera, lidar = (~kept).double().mean(dim=0).tolist()
    assert camera == pytest.approx(0.3, abs=0.04)
    assert lidar == pytest.approx(0.5, abs=0.04)
    assert InputMasking().draw_sensors(4) is None


@pytest.mark.parametrize(("camera", "lidar"), [(0.6, 0.5), (-0.1, 0.0)])
def test_probabilities_of_dropping_that_are_none_are_refused(camera, lidar):
    with pytest.raises(ValueError, match="drop_camera and drop_lidar"):
        InputMasking(drop_camera=camera, drop_lidar=lidar)
