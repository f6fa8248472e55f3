"""Training of image backbones: frozen stages, statistics of batch norms, recomputation in the backward pass."""

import pytest
import torch
from torch import nn

from ponderv2.encoders.image.image_backbones import PonderConvNeXt
from tests.factories.image_backbones import DEPTHS, build, images, mask

both = pytest.mark.parametrize("kind", ["convnext", "resnet"])


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


def test_checkpointing_and_batch_statistics_are_refused_together():
    with pytest.raises(ValueError, match="norm_eval=True"):
        build("resnet", norm_eval=False, grad_checkpointing=True)
