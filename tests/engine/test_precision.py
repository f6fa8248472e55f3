"""The precision of training: what is chosen where, and what stays in float32."""

import argparse

import pytest
import torch
from torch import nn

from ponderv2.devices import computes_bfloat16
from ponderv2.engine import PrecisionOptimWrapper, load_config, precision, training_config
from ponderv2.errors import UserError
from tests.factories.tool_scripts import load_tool


@pytest.fixture
def device_is_fast(monkeypatch):
    """Says whether this machine is fast in bfloat16."""

    def say(fast: bool) -> None:
        monkeypatch.setattr(precision, "computes_bfloat16", lambda _: fast)
        monkeypatch.setattr("ponderv2.engine.launch.computes_bfloat16", lambda _: fast)

    return say


def _wrapper(model, **kwargs):
    return PrecisionOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1), **kwargs)


@pytest.mark.parametrize(
    ("given", "fast", "used"),
    [
        ("auto", True, "bfloat16"),
        ("auto", False, "float32"),
        ("float32", True, "float32"),
        ("bfloat16", True, "bfloat16"),
    ],
)
def test_the_precision_is_the_one_asked_for_or_what_the_device_is_fast_in(device_is_fast, given, fast, used):
    device_is_fast(fast)
    model = nn.Linear(3, 2)
    wrapper = _wrapper(model, precision=given)
    assert wrapper.precision == used
    with wrapper.optim_context(model):
        out = model(torch.ones(1, 3))
    assert str(out.dtype) == f"torch.{used}"
    wrapper.update_params(out.float().sum())
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.bias.tolist() != nn.Linear(3, 2).bias.tolist()


def test_bfloat16_on_a_device_that_is_slow_in_it_is_one_clear_error(device_is_fast):
    device_is_fast(False)
    with pytest.raises(UserError, match=r"no instructions for bfloat16 .* set optim_wrapper\.precision"):
        _wrapper(nn.Linear(3, 2), precision="bfloat16")


def test_an_unknown_precision_is_named():
    with pytest.raises(ValueError, match="float8"):
        _wrapper(nn.Linear(3, 2), precision="float8")


@pytest.mark.parametrize(
    ("instructions", "fast"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True, "avx512_bf16": False}, True), ({"avx512_f": True}, False)],
)
def test_a_cpu_is_fast_with_instructions_for_bfloat16_alone(monkeypatch, instructions, fast):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    assert computes_bfloat16("cpu") is fast
    assert not computes_bfloat16("meta")


def test_a_cpu_is_known_also_to_a_torch_without_that_function(monkeypatch):
    before = computes_bfloat16("cpu")
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert computes_bfloat16("cpu") is before


@pytest.mark.parametrize(("capability", "fast"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_is_fast_from_compute_capability_8_on(monkeypatch, capability, fast):
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert computes_bfloat16("cuda:0") is fast


def test_amp_on_a_cpu_is_bfloat16_where_it_is_fast_and_else_refused(repository, device_is_fast):
    recipe = repository / "configs" / "tiny" / "ponderv2_camera_keyframe.py"
    parser = argparse.ArgumentParser()
    load_tool(repository, "train").add_arguments(parser)
    args = parser.parse_args([str(recipe), "--amp"])
    device_is_fast(True)
    wrapper = training_config(args).optim_wrapper
    assert (wrapper.type, wrapper.precision) == (PrecisionOptimWrapper, "bfloat16")
    assert wrapper.optimizer == load_config(recipe).optim_wrapper.optimizer
    device_is_fast(False)
    with pytest.raises(UserError, match="--amp needs CUDA or a CPU with AVX512-BF16"):
        training_config(args)


@pytest.fixture
def _own_switches():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.usefixtures("_own_switches")
@pytest.mark.parametrize(("options", "allowed"), [([], True), (["env_cfg.tf32=False"], False)])
def test_a_training_rounds_convolutions_to_tf32_as_the_recipe_says_and_no_other_product(repository, options, allowed):
    recipe = repository / "configs" / "tiny" / "ponderv2_camera_keyframe.py"
    parser = argparse.ArgumentParser()
    load_tool(repository, "train").add_arguments(parser)
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = not allowed, True
    training_config(parser.parse_args([str(recipe), *(["--cfg-options", *options] if options else [])]))
    assert torch.backends.cudnn.allow_tf32 is allowed
    # Geometry and signed distances are products of matrices, and sparse convolutions read coordinates.
    assert torch.backends.cuda.matmul.allow_tf32 is False
    from spconv import constants

    assert constants.SPCONV_ALLOW_TF32 is False
