"""Block masks: exact share, reproducible, independent, and resized without moving."""

import pytest
import torch
from torch.nn import functional as F

from ponderv2.masking import draw_block_mask, resize_block_mask


def draw(seed: int, num_images: int = 4, size: tuple[int, int] = (320, 448), **kwargs: float) -> torch.Tensor:
    return draw_block_mask(num_images, size, generator=torch.Generator().manual_seed(seed), **kwargs)


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.3, 0.5, 0.75, 0.99])
@pytest.mark.parametrize("block", [16, 32, 64])
def test_every_image_keeps_exactly_the_rounded_share(ratio, block):
    mask = draw(0, size=(320, 448), block=block, ratio=ratio)
    total = (320 // block) * (448 // block)
    assert mask.shape == (4, 320 // block, 448 // block)
    assert mask.flatten(1).sum(1).tolist() == [round(total * (1 - ratio))] * 4


def test_published_size_keeps_1015_of_1450_blocks():
    mask = draw(0, 6, (928, 1600))
    assert mask.shape == (6, 29, 50)
    assert mask.flatten(1).sum(1).tolist() == [1015] * 6


def test_a_seed_fixes_the_mask_and_another_seed_changes_it():
    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_images_have_masks_of_their_own():
    mask = draw(0)
    assert all(not torch.equal(mask[0], other) for other in mask[1:])


def test_every_block_is_hidden_as_often_as_another():
    share = (~draw(0, 4000, (96, 96), ratio=1 / 3)).float().mean(0)
    assert (share - 1 / 3).abs().max() < 0.04  # five standard deviations of 4000 draws


def test_without_a_generator_the_seed_of_torch_decides():
    torch.manual_seed(5)
    first = draw_block_mask(2, (320, 320))
    torch.manual_seed(5)
    assert torch.equal(first, draw_block_mask(2, (320, 320)))


def test_a_given_generator_leaves_the_seed_of_torch_alone():
    before = torch.get_rng_state()
    draw(0)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_seed_gives_one_mask_on_every_device():
    generator = torch.Generator().manual_seed(3)
    mask = draw_block_mask(4, (320, 448), generator=generator, device="cuda")
    assert mask.is_cuda
    assert torch.equal(mask.cpu(), draw(3))


@pytest.mark.parametrize("ratio", [-0.1, 1.0, 1.5])
def test_a_share_outside_its_range_is_refused(ratio):
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        draw(0, ratio=ratio)


@pytest.mark.parametrize("size", [(900, 1600), (928, 1590)])
def test_an_image_that_is_not_whole_blocks_is_refused_with_the_size_to_pad_to(size):
    with pytest.raises(ValueError, match="928x1600"):
        draw(0, size=size)


def test_enlarging_repeats_blocks():
    mask = draw(0, 2, (96, 160))
    large = resize_block_mask(mask, (24, 40))
    expected = F.interpolate(mask[:, None].float(), (24, 40), mode="nearest")[:, 0].bool()
    assert torch.equal(large, expected)


def test_shrinking_keeps_the_upper_left_block():
    mask = draw(0, 2, (128, 256))
    small = resize_block_mask(mask, (2, 4))
    assert torch.equal(small, mask[:, ::2, ::2])
    assert torch.equal(small, F.interpolate(mask[:, None].float(), (2, 4), mode="nearest")[:, 0].bool())


def test_enlarging_and_shrinking_again_gives_the_mask_back():
    mask = draw(0, 2, (96, 160))
    assert torch.equal(resize_block_mask(resize_block_mask(mask, (12, 20)), (3, 5)), mask)


@pytest.mark.parametrize("size", [(10, 15), (3, 12), (6, 1), (0, 5)])
def test_a_size_that_cuts_blocks_is_refused(size):
    with pytest.raises(ValueError, match="whole multiples"):
        resize_block_mask(draw(0, 2, (96, 160)), size)
