"""Image backbones: masks that hide, transformers' own numbers without one, freezing and checkpointing."""

import copy
import pickle

import pytest
import torch
from mmengine.model import BaseModule
from torch import nn
from transformers import ConvNextBackbone, ConvNextConfig, ResNetBackbone, ResNetConfig

from ponderv2.encoders.image.image_backbones import PonderConvNeXt, PonderResNet, visible_batch_norm
from ponderv2.masking import draw_block_mask, resize_block_mask
from ponderv2.registry import MODELS

DEPTHS, CONVNEXT, RESNET = (2, 1, 2, 1), (8, 12, 16, 20), (16, 24, 32, 40)
SIZE = (64, 96)


def build(kind: str, **kwargs: object) -> nn.Module:
    """A tiny backbone in which every parameter matters; the initial layer scale of 1e-6 would hide errors."""
    kwargs = {"frozen_stages": -1, "depths": DEPTHS} | kwargs
    if kind == "convnext":
        model = PonderConvNeXt(**{"channels": CONVNEXT, "drop_path_rate": 0.0} | kwargs)
    else:
        model = PonderResNet(**{"channels": RESNET, "stem_channels": 8} | kwargs)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(0.5 + torch.rand_like(value) if value.ndim == 1 else torch.randn_like(value) * 0.2)
            if name.endswith("bias"):
                value.uniform_(0.5, 1.5)  # above zero, or a ReLU may silence a position
        for name, value in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                value.uniform_(0.5, 1.5)
    return model


def images(seed: int = 0, num_images: int = 2) -> torch.Tensor:
    return torch.randn(num_images, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


def mask(seed: int = 0, block: int = 32) -> torch.Tensor:
    return draw_block_mask(2, SIZE, block, 0.4, torch.Generator().manual_seed(seed))


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


@both
@pytest.mark.parametrize("out_indices", [(0, 1, 2, 3), (1, 3)])
def test_without_a_mask_outputs_are_those_of_transformers(kind, out_indices, tmp_path):
    reference = _reference(kind, out_indices)
    reference.save_pretrained(tmp_path)
    model = build_from(kind, tmp_path, out_indices=out_indices).eval()
    for own, theirs in zip(model(images()), reference(images()).feature_maps, strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-5, atol=1e-5)


@both
def test_checkpointing_changes_neither_outputs_nor_gradients(kind):
    results = []
    for checkpointing in (False, True):
        model = build(kind, grad_checkpointing=checkpointing, frozen_stages=1)
        outputs = model(images(), mask())
        sum(output.square().mean() for output in outputs).backward()
        results.append((outputs, {n: p.grad for n, p in model.named_parameters() if p.requires_grad}))
    (plain, plain_grads), (recomputed, recomputed_grads) = results
    assert all(torch.equal(a, b) for a, b in zip(plain, recomputed, strict=True))
    assert all(grad is not None for grad in plain_grads.values())
    for name, grad in plain_grads.items():
        torch.testing.assert_close(recomputed_grads[name], grad, rtol=1e-5, atol=1e-6, msg=name)


def test_checkpointing_drops_the_same_paths_in_both_runs():
    grads = []
    for checkpointing in (False, True):
        model = build("convnext", grad_checkpointing=checkpointing, drop_path_rate=0.7)
        torch.manual_seed(11)
        outputs = model(images(0, 2).repeat(4, 1, 1, 1))
        outputs[-1].square().mean().backward()
        dropped = outputs[-1].reshape(4, 2, -1)
        assert not torch.allclose(dropped[0], dropped[1])
        unused = ("norms.0", "norms.1", "norms.2")
        grads.append([p.grad for name, p in model.named_parameters() if not name.startswith(unused)])
    for plain, recomputed in zip(*grads, strict=True):
        torch.testing.assert_close(plain, recomputed, rtol=1e-5, atol=1e-6)


def test_checkpointing_runs_each_trained_layer_again_in_the_backward_pass(monkeypatch):
    model = build("convnext", grad_checkpointing=True, frozen_stages=1)
    runs = []
    layer = PonderConvNeXt._layer
    monkeypatch.setattr(PonderConvNeXt, "_layer", lambda *args: (runs.append(1), layer(*args))[1])
    loss = model(images())[-1].sum()
    assert len(runs) == sum(DEPTHS)
    loss.backward()
    assert len(runs) == sum(DEPTHS) + sum(DEPTHS[1:])


@both
def test_a_backbone_can_be_copied_and_pickled(kind):
    model = build(kind)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(copied(images())[-1], model(images())[-1])


@both
def test_the_recursive_initialisation_of_mmengine_leaves_loaded_weights_alone(kind):
    model = build(kind)
    before = copy.deepcopy(model.state_dict())
    holder = BaseModule()
    holder.backbone = model
    holder.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_drop_path_grows_linearly_over_the_blocks():
    model = PonderConvNeXt(depths=DEPTHS, channels=CONVNEXT, drop_path_rate=0.2)
    rates = [getattr(layer.drop_path, "drop_prob", 0.0) for stage in model.stages for layer in stage["layers"]]
    assert rates == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16, 0.2])
    assert model.stages[3]["layers"][0].layer_scale_parameter.unique().tolist() == pytest.approx([1e-6])


@both
@pytest.mark.parametrize("frozen_stages", [-1, 0, 1, 4])
def test_frozen_parts_have_no_gradient_and_stay_in_eval_mode(kind, frozen_stages):
    model = build(kind, frozen_stages=frozen_stages)
    frozen = ("stem.", *(f"stages.{i}." for i in range(frozen_stages)))[: frozen_stages + 1]
    model.eval()
    model.train()
    outputs = model(images().requires_grad_())
    assert outputs[0].requires_grad == (frozen_stages < 1 or kind == "convnext")  # norms are never frozen
    if frozen_stages < 4 or kind == "convnext":
        sum(output.square().mean() for output in outputs if output.requires_grad).backward()
    for name, value in model.named_parameters():
        is_frozen = bool(frozen) and name.startswith(frozen)
        assert value.requires_grad != is_frozen, name
        assert (value.grad is None) == is_frozen, name
    for name, module in model.named_modules():
        if not isinstance(module, nn.BatchNorm2d):
            assert module.training != (bool(frozen) and f"{name}.".startswith(frozen)), name


def test_norm_eval_keeps_batch_norm_at_its_running_statistics():
    model = build("resnet", norm_eval=True).train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(images(), mask())
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    assert model.training


def test_without_norm_eval_only_frozen_batch_norms_stand_still():
    model = build("resnet", norm_eval=False, frozen_stages=1).train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(images(), mask())
    for name, value in model.named_buffers():
        assert torch.equal(value, before[name]) == name.startswith(("stem.", "stages.0.")), name


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


def test_checkpointing_and_batch_statistics_are_refused_together():
    with pytest.raises(ValueError, match="norm_eval=True"):
        build("resnet", norm_eval=False, grad_checkpointing=True)


@both
def test_channels_and_strides_are_those_of_the_maps(kind):
    model = build(kind, out_indices=(1, 2))
    assert model.channels == (CONVNEXT if kind == "convnext" else RESNET)[1:3]
    assert model.strides == (8, 16)
    assert len(model.stages) == 3  # a stage that nothing reads would be an unused parameter for DDP
    for output, channels, stride in zip(model(images()), model.channels, model.strides, strict=True):
        assert output.shape == (2, channels, SIZE[0] // stride, SIZE[1] // stride)


@pytest.mark.parametrize(
    ("name", "options", "channels", "blocks"),
    [
        ("PonderConvNeXt", {}, (96, 192, 384, 768), (3, 3, 27, 3)),
        ("PonderConvNeXt", {"size": "base"}, (128, 256, 512, 1024), (3, 3, 27, 3)),
        ("PonderResNet", {}, (256, 512, 1024, 2048), (3, 4, 6, 3)),
        ("PonderResNet", {"depth": 101, "out_indices": [1, 2]}, (512, 1024), (3, 4, 23)),
    ],
)
def test_the_registry_builds_the_named_sizes(name, options, channels, blocks):
    with torch.device("meta"):
        model = MODELS.build({"type": f"mmdet3d.{name}", **options})
    assert model.channels == channels
    assert tuple(len(stage["layers"]) for stage in model.stages) == blocks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_indices": ()}, "ascending"),
        ({"out_indices": (1, 0)}, "ascending"),
        ({"out_indices": (0, 4)}, r"out of 0\.\.3"),
        ({"out_indices": (0, 1), "frozen_stages": 3}, "up to 2"),
        ({"frozen_stages": -2}, "frozen_stages is -1"),
        ({"channels": None}, "together"),
        ({"depths": (1, 1)}, "together"),
        ({"size": "huge"}, "tiny, small, base, large"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build("convnext", **options)


@both
def test_a_mask_of_another_image_is_refused(kind):
    model = build(kind)
    with pytest.raises(ValueError, match="1 masks for 2 images"):
        model(images(), mask()[:1])
    with pytest.raises(ValueError, match="whole multiples"):
        model(images(), torch.ones(2, 7, 7, dtype=torch.bool))


def build_from(kind: str, weights: object, **kwargs: object) -> nn.Module:
    """A tiny backbone with loaded weights, otherwise as initialised."""
    if kind == "convnext":
        model = PonderConvNeXt(depths=DEPTHS, channels=CONVNEXT, weights=str(weights), **kwargs)
    else:
        model = PonderResNet(depths=DEPTHS, channels=RESNET, stem_channels=8, weights=str(weights), **kwargs)
    model.init_weights()
    return model


def _reference(kind: str, out_indices: tuple[int, ...]) -> nn.Module:
    """Transformers' own backbone with random values everywhere."""
    own = build(kind)
    options = {"depths": list(DEPTHS), "out_features": [f"stage{i + 1}" for i in out_indices]}
    if kind == "convnext":
        reference = ConvNextBackbone(ConvNextConfig(hidden_sizes=list(CONVNEXT), **options))
        reference.embeddings.load_state_dict(own.stem.state_dict())
        for i in out_indices:
            reference.hidden_states_norms[f"stage{i + 1}"].load_state_dict(own.norms[str(i)].state_dict())
    else:
        reference = ResNetBackbone(ResNetConfig(embedding_size=8, hidden_sizes=list(RESNET), **options))
        reference.embedder.load_state_dict(own.stem.state_dict())
    reference.encoder.stages.load_state_dict(own.stages.state_dict())
    return reference.eval()


def _masks(model: nn.Module, seen: torch.Tensor) -> list[torch.Tensor]:
    return [resize_block_mask(seen, (SIZE[0] // s, SIZE[1] // s)) for s in model.strides]
