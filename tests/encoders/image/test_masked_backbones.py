"""Image backbones under a mask: what is hidden has no influence, what is visible has."""

import pytest
import torch
from torch import nn

from ponderv2.encoders.image.image_backbones import visible_batch_norm
from ponderv2.masking import resize_block_mask
from tests.factories.image_backbones import DEPTHS, SIZE, build, images, mask

both = pytest.mark.parametrize("kind", ["convnext", "resnet"])


@both
def test_channels_that_come_last_stay_last_under_a_mask_and_change_nothing(kind):
    model, x = build(kind), images()
    plain = model(x, mask())
    last = model(x.contiguous(memory_format=torch.channels_last), mask())
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-4)
    assert all(m.is_contiguous(memory_format=torch.channels_last) for m in last)


@both
@pytest.mark.parametrize("block", [16, 32])
@pytest.mark.parametrize("noise", [100.0, float("nan")])
def test_hidden_pixels_have_no_influence_on_any_output(kind, block, noise):
    if block == 16:
        model, seen = build(kind, out_indices=(0, 1, 2)), mask(1, 16)
    else:
        model, seen = build(kind), mask(1)
    hidden = ~resize_block_mask(seen, SIZE)[:, None]
    x = images()
    disturbed = torch.where(hidden, noise * images(1), x)
    for clean, other in zip(model(x, seen), model(disturbed, seen), strict=True):
        assert torch.equal(clean, other)


@both
def test_what_looks_around_reads_zeros_at_hidden_positions(kind):
    model, seen = build(kind), mask()
    looked = []

    def check(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        (x,) = inputs
        shown = resize_block_mask(seen, tuple(x.shape[-2:]))
        looked.append(module)
        assert x.permute(0, 2, 3, 1)[~shown].eq(0).all(), module
        assert x.permute(0, 2, 3, 1)[shown].ne(0).any(), module

    around = [m for m in model.modules() if getattr(m, "kernel_size", None) not in (None, (1, 1))]
    for module in around:
        module.register_forward_pre_hook(check)
    model(images(), seen)
    # Stem, 3 down-samplings and a 7x7 a block; or stem, pooling and a 3x3 a bottleneck.
    assert len(looked) == len(around) == sum(DEPTHS) + (4 if kind == "convnext" else 2)


@both
def test_visible_pixels_have_influence_on_outputs(kind):
    model, seen = build(kind).eval(), mask()
    x = images()
    disturbed = torch.where(resize_block_mask(seen, SIZE)[:, None], x + images(1), x)
    for clean, other, shown in zip(model(x, seen), model(disturbed, seen), _masks(model, seen), strict=True):
        assert (clean != other).any(1)[shown].all()


@both
def test_outputs_at_hidden_positions_are_exactly_zero_and_only_there(kind):
    model, seen = build(kind), mask()
    for output, shown in zip(model(images(), seen), _masks(model, seen), strict=True):
        assert (output != 0).any(1).equal(shown)


@both
def test_hidden_positions_pass_no_gradient_to_the_image(kind):
    model, seen = build(kind), mask()
    x = images().requires_grad_()
    sum(output.square().sum() for output in model(x, seen)).backward()
    hidden = ~resize_block_mask(seen, SIZE)[:, None]
    assert x.grad.masked_select(hidden).abs().max() == 0
    assert x.grad.masked_select(~hidden).abs().max() > 0


@both
def test_no_mask_is_the_mask_that_shows_everything(kind):
    model = build(kind)
    everything = torch.ones(2, 2, 3, dtype=torch.bool)
    for plain, masked in zip(model(images()), model(images(), everything), strict=True):
        torch.testing.assert_close(plain, masked, rtol=1e-5, atol=1e-5)


@both
def test_a_mask_is_forgotten_after_the_call(kind):
    model = build(kind).eval()
    before = model(images())
    model(images(), mask())
    for first, second in zip(before, model(images()), strict=True):
        assert torch.equal(first, second)


def test_batch_norm_under_a_mask_takes_statistics_of_visible_positions_only():
    norm = nn.BatchNorm2d(5, momentum=1.0)
    x = 3 + 2 * torch.randn(2, 5, 4, 6)
    shown = resize_block_mask(mask(), (4, 6))
    out = visible_batch_norm(norm, torch.where(shown[:, None], x, 1e6), ~shown[:, None])
    cells = x.permute(0, 2, 3, 1)[shown]
    torch.testing.assert_close(norm.running_mean, cells.mean(0))
    torch.testing.assert_close(norm.running_var, cells.var(0))
    expected = (cells - cells.mean(0)) / (cells.var(0, unbiased=False) + norm.eps).sqrt()
    torch.testing.assert_close(out.permute(0, 2, 3, 1)[shown], expected)


def test_hidden_pixels_have_no_influence_through_batch_statistics():
    hidden = ~resize_block_mask(mask(), SIZE)[:, None]
    results = []
    for x in (images(), torch.where(hidden, 100 * images(1), images())):
        model = build("resnet", norm_eval=False).train()
        results.append([*model(x, mask()), *model.buffers()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@both
def test_a_mask_of_another_image_is_refused(kind):
    model = build(kind)
    with pytest.raises(ValueError, match="1 masks for 2 images"):
        model(images(), mask()[:1])
    with pytest.raises(ValueError, match="whole multiples"):
        model(images(), torch.ones(2, 7, 7, dtype=torch.bool))


def _masks(model: nn.Module, seen: torch.Tensor) -> list[torch.Tensor]:
    return [resize_block_mask(seen, (SIZE[0] // s, SIZE[1] // s)) for s in model.strides]
