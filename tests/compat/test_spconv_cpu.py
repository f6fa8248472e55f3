"""`compat.spconv_cpu`: sparse convolution on CPU equals dense convolution, forward and backward."""

import types

import pytest
import torch
from torch.nn import functional

spconv = pytest.importorskip("spconv.pytorch")

from cumm.tensorview.gemm import Activation  # noqa: E402
from spconv.core import ConvAlgo  # noqa: E402
from spconv.pytorch import ops  # noqa: E402

from ponderv2.compat.spconv_cpu import _replace, cpu_indice_conv, install_spconv_cpu  # noqa: E402

install_spconv_cpu()

SHAPE = (5, 7, 6)
BATCH, C_IN, C_OUT = 2, 3, 4


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def spconv_own(monkeypatch):
    """Spconv as it comes, without the repair."""
    for name in ("indice_conv", "indice_conv_backward"):
        monkeypatch.setattr(ops, name, getattr(ops, name).__wrapped__)


def make_input(dtype=torch.float64, channels=C_IN):
    """Features [N, C] and indices [N, 4] of a third of the cells, as (sample, z, y, x)."""
    generator = torch.Generator().manual_seed(0)
    # nonzero returns a transposed tensor, and spconv reads the memory as it lies.
    indices = torch.nonzero(torch.rand(BATCH, *SHAPE, generator=generator) < 0.33).int().contiguous()
    features = torch.randn(len(indices), channels, generator=generator, dtype=dtype)
    return features.requires_grad_(), indices


def sparse(features, indices, shape=SHAPE):
    return spconv.SparseConvTensor(features, indices, list(shape), BATCH)


def dense(features, indices, shape=SHAPE):
    """Features [N, C] at indices [N, 4] as a volume [B, C, Z, Y, X], differentiable."""
    volume = features.new_zeros(BATCH, *shape, features.shape[1])
    return volume.index_put(tuple(indices.long().T), features).permute(0, 4, 1, 2, 3)


def rows(volume, indices):
    """The inverse of `dense`."""
    return volume.permute(0, 2, 3, 4, 1)[tuple(indices.long().T)]


def dense_weight(layer):
    """The weight [C_out, *kernel, C_in] as conv3d has it, [C_out, C_in, *kernel]."""
    return layer.weight.permute(0, 4, 1, 2, 3)


def gradients(output, *inputs):
    probe = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=output.dtype)
    return torch.autograd.grad((output * probe).sum(), inputs)


@pytest.mark.parametrize("kernel", [3, 5, (3, 1, 3)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.usefixtures("threads")
def test_submanifold_convolution_equals_dense(kernel, dilation):
    features, indices = make_input()
    layer = spconv.SubMConv3d(C_IN, C_OUT, kernel, dilation=dilation, bias=True).double()
    padding = [size // 2 * dilation for size in layer.kernel_size]
    expected = functional.conv3d(
        dense(features, indices), dense_weight(layer), layer.bias, padding=padding, dilation=dilation
    )
    expected = rows(expected, indices)
    actual = layer(sparse(features, indices)).features
    torch.testing.assert_close(actual, expected)
    leaves = (features, layer.weight, layer.bias)
    torch.testing.assert_close(gradients(actual, *leaves), gradients(expected, *leaves))


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (2, 2, 0), (3, 1, 1), ((3, 1, 1), 1, 0)])
@pytest.mark.usefixtures("threads")
def test_strided_convolution_equals_dense(kernel, stride, padding):
    features, indices = make_input()
    layer = spconv.SparseConv3d(C_IN, C_OUT, kernel, stride, padding, bias=True).double()
    out = layer(sparse(features, indices))
    volume = functional.conv3d(
        dense(features, indices), dense_weight(layer), layer.bias, stride=stride, padding=padding
    )
    assert tuple(out.spatial_shape) == volume.shape[2:]
    expected = rows(volume, out.indices)
    torch.testing.assert_close(out.features, expected)
    leaves = (features, layer.weight, layer.bias)
    torch.testing.assert_close(gradients(out.features, *leaves), gradients(expected, *leaves))


@pytest.mark.usefixtures("threads")
def test_inverse_convolution_equals_dense_transposed_convolution():
    features, indices = make_input()
    down = spconv.SparseConv3d(C_IN, C_IN, 3, 2, 1, bias=False, indice_key="down").double()
    up = spconv.SparseInverseConv3d(C_IN, C_OUT, 3, indice_key="down", bias=True).double()
    coarse = down(sparse(features, indices))
    coarse_features = coarse.features.detach().requires_grad_()
    out = up(coarse.replace_feature(coarse_features))
    assert torch.equal(out.indices, indices)

    extra = [size - ((coarse_size - 1) * 2 - 2 + 3) for size, coarse_size in zip(SHAPE, coarse.spatial_shape)]
    volume = functional.conv_transpose3d(
        dense(coarse_features, coarse.indices, coarse.spatial_shape),
        up.weight.permute(4, 0, 1, 2, 3),
        up.bias,
        stride=2,
        padding=1,
        output_padding=extra,
    )
    expected = rows(volume, indices)
    torch.testing.assert_close(out.features, expected)
    leaves = (coarse_features, up.weight, up.bias)
    torch.testing.assert_close(gradients(out.features, *leaves), gradients(expected, *leaves))


@pytest.mark.usefixtures("threads")
def test_transposed_convolution_equals_dense():
    features, indices = make_input()
    layer = spconv.SparseConvTranspose3d(C_IN, C_OUT, 3, 2, 1, bias=False).double()
    out = layer(sparse(features, indices))
    volume = functional.conv_transpose3d(
        dense(features, indices), layer.weight.permute(4, 0, 1, 2, 3), stride=2, padding=1
    )
    expected = rows(volume, out.indices)
    torch.testing.assert_close(out.features, expected)
    leaves = (features, layer.weight)
    torch.testing.assert_close(gradients(out.features, *leaves), gradients(expected, *leaves))


def test_gradcheck_through_down_and_up():
    features, indices = make_input()
    features, indices = features[:12].detach().requires_grad_(), indices[:12]
    down = spconv.SparseConv3d(C_IN, 2, 3, 2, 1, bias=False, indice_key="down").double()
    up = spconv.SparseInverseConv3d(2, 2, 3, indice_key="down", bias=False).double()
    assert torch.autograd.gradcheck(lambda x: up(down(sparse(x, indices))).features, (features,))


@pytest.mark.parametrize("layer_type", [spconv.SubMConv3d, spconv.SparseConv3d])
def test_bias_in_eval_equals_bias_in_training(layer_type):
    features, indices = make_input()
    layer = layer_type(C_IN, C_OUT, 3, padding=1, bias=True).double()
    training = layer.train()(sparse(features, indices)).features
    torch.testing.assert_close(layer.eval()(sparse(features, indices)).features, training)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        (Activation.ReLU, torch.relu),
        (Activation.Sigmoid, torch.sigmoid),
        (Activation.LeakyReLU, lambda x: functional.leaky_relu(x, 0.1)),
    ],
    ids=["relu", "sigmoid", "leaky relu"],
)
def test_fused_activation_in_eval(activation, function):
    features, indices = make_input()
    layer = spconv.SubMConv3d(C_IN, C_OUT, 3, bias=True).double().eval()
    expected = function(layer(sparse(features, indices)).features)
    layer.act_type, layer.act_alpha = activation, 0.1
    torch.testing.assert_close(layer(sparse(features, indices)).features, expected)


def test_leaky_relu_whose_slope_spconv_mixes_up_is_refused():
    features, indices = make_input()
    layer = spconv.SparseConv3d(C_IN, C_OUT, 3).double().eval()
    layer.act_type, layer.act_alpha = Activation.LeakyReLU, 0.1
    with pytest.raises(NotImplementedError, match="slope"):
        layer(sparse(features, indices))


def test_quantised_features_and_other_tables_are_refused():
    weight = torch.zeros(4, 1, 1, 1, 3)
    table, counts = torch.zeros(2, 1, 1, dtype=torch.int32), torch.zeros(1, dtype=torch.int32)
    with pytest.raises(NotImplementedError, match="floating-point"):
        ops.indice_conv(torch.zeros(1, 3, dtype=torch.int8), weight, table, counts, 1)
    with pytest.raises(NotImplementedError, match=r"ConvAlgo\.Native"):
        ops.indice_conv(torch.zeros(1, 3), weight, table, counts, 1, algo=ConvAlgo.MaskImplicitGemm)


@pytest.mark.parametrize("features_dtype", [torch.float32, torch.bfloat16])
def test_bf16_autocast_trains_and_sums_in_fp32(features_dtype):
    features, indices = make_input(torch.float32)
    given = features.to(features_dtype)
    layer = spconv.SubMConv3d(C_IN, C_OUT, 3, bias=False)
    expected = layer(sparse(given.float(), indices)).features
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(sparse(given, indices)).features
        grads = gradients(out, features, layer.weight)
    assert out.dtype == torch.float32
    assert [grad.dtype for grad in grads] == [torch.float32, torch.float32]
    torch.testing.assert_close(out, expected)
    if features_dtype == torch.float32:
        torch.testing.assert_close(grads, gradients(expected, features, layer.weight))


def test_a_bf16_layer_gives_bf16():
    features, indices = make_input(torch.float32)
    layer = spconv.SubMConv3d(C_IN, C_OUT, 3, bias=False)
    expected = layer(sparse(features, indices)).features
    out = layer.bfloat16()(sparse(features.bfloat16(), indices)).features
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), expected, atol=0.05, rtol=0.05)
    grads = gradients(out, layer.weight)
    assert grads[0].dtype == torch.bfloat16


def test_results_are_the_same_at_every_call():
    features, indices = make_input(torch.float32)
    layer = spconv.SparseConv3d(C_IN, C_OUT, 3, 2, 1, bias=False)

    def run():
        out = layer(sparse(features, indices)).features
        return (out, *gradients(out, features, layer.weight))

    first = run()
    for _ in range(10):
        assert all(torch.equal(now, before) for now, before in zip(run(), first))


def test_no_voxels_at_all():
    indices = torch.zeros(0, 4, dtype=torch.int32)
    for layer in (spconv.SubMConv3d(C_IN, C_OUT, 3), spconv.SparseConv3d(C_IN, C_OUT, 3, 2, 1)):
        features = torch.zeros(0, C_IN, requires_grad=True)
        out = layer(sparse(features, indices)).features
        assert out.shape == (0, C_OUT)
        out.sum().backward()
        assert features.grad.shape == (0, C_IN)


def test_installing_again_changes_nothing():
    before = ops.indice_conv, ops.indice_conv_backward
    install_spconv_cpu()
    assert (ops.indice_conv, ops.indice_conv_backward) == before
    assert not hasattr(ops.indice_conv.__wrapped__, "__wrapped__")


def _down_and_up():
    down = spconv.SparseConv3d(C_IN, C_IN, 3, 2, 1, bias=False, indice_key="down")
    return [down, spconv.SparseInverseConv3d(C_IN, C_OUT, 3, indice_key="down", bias=False)]


LAYERS = {
    "submanifold": lambda: [spconv.SubMConv3d(C_IN, C_OUT, 3, bias=False)],
    "submanifold twice": lambda: [
        spconv.SubMConv3d(C_IN, C_IN, 3, bias=False, indice_key="table"),
        spconv.SubMConv3d(C_IN, C_OUT, 3, bias=False, indice_key="table"),
    ],
    "strided": lambda: [spconv.SparseConv3d(C_IN, C_OUT, 3, 2, 1, bias=False)],
    "strided and inverse": _down_and_up,
}


def _volume_and_gradients(layers, device):
    """The result of layers as a dense volume, for their rows may come in another order; its gradients."""
    features, indices = make_input(torch.float32)
    leaf = features.detach().to(device).requires_grad_()
    x = sparse(leaf, indices.to(device))
    for layer in layers.to(device):
        x = layer(x)
    volume = dense(x.features, x.indices, x.spatial_shape)
    probe = torch.randn(volume.shape, generator=torch.Generator().manual_seed(1)).to(device)
    found = torch.autograd.grad((volume * probe).sum(), [leaf, *layers.parameters()])
    return [t.detach().cpu() for t in (volume, *found)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_a_cuda_build_take_cpu_tensors(name, training):
    layers = torch.nn.Sequential(*LAYERS[name]()).train(training)
    expected = _volume_and_gradients(layers, "cpu")
    for layer in layers:
        # What a layer of a CUDA build chooses when it is made, for the GPU on which it will most often be.
        layer.algo = ConvAlgo.MaskImplicitGemm
    torch.testing.assert_close(_volume_and_gradients(layers, "cpu"), expected)
    assert all(layer.algo == ConvAlgo.MaskImplicitGemm for layer in layers)


@pytest.mark.gpu
@pytest.mark.parametrize("algorithm", [None, ConvAlgo.Native], ids=["default", "native"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_gpu_computes_as_a_cpu_does(name, algorithm):
    layers = torch.nn.Sequential(*LAYERS[name]())
    expected = _volume_and_gradients(layers, "cpu")
    for layer in layers:
        layer.algo = algorithm or layer.algo
    assert algorithm or layers[0].algo != ConvAlgo.Native, "this spconv is a CPU build"
    torch.testing.assert_close(_volume_and_gradients(layers, "cuda"), expected, atol=1e-4, rtol=1e-3)


def test_tensors_elsewhere_reach_spconv():
    calls = []

    def indice_conv(*args):
        calls.append(args)

    owner = types.ModuleType("ops")
    owner.indice_conv = indice_conv
    _replace(owner, "indice_conv", cpu_indice_conv)
    features = torch.empty(1, 3, device="meta")
    owner.indice_conv(features, "filters", "pairs")
    assert calls == [(features, "filters", "pairs")]


@pytest.mark.skipif(torch.cuda.is_available(), reason="the fault is that of a machine without CUDA")
@pytest.mark.usefixtures("spconv_own")
def test_the_fault_backward_needs_cuda():
    features, indices = make_input(torch.float32)
    out = spconv.SubMConv3d(C_IN, C_OUT, 3, bias=False)(sparse(features, indices)).features
    with pytest.raises((AssertionError, RuntimeError, AttributeError)):
        out.sum().backward()


@pytest.mark.usefixtures("spconv_own")
def test_the_fault_bias_in_eval_is_refused():
    features, indices = make_input(torch.float32)
    layer = spconv.SubMConv3d(C_IN, C_OUT, 3, bias=True).eval()
    with pytest.raises(AssertionError, match="cpu don't support act and bias"):
        layer(sparse(features, indices))


@pytest.mark.usefixtures("spconv_own")
def test_the_fault_bf16_autocast_fails():
    features, indices = make_input(torch.float32)
    layer = spconv.SubMConv3d(C_IN, C_OUT, 3, bias=False)
    with pytest.raises((KeyError, RuntimeError)), torch.autocast("cpu", dtype=torch.bfloat16):
        layer(sparse(features, indices))
