"""The field: closed-form normals are the gradient of the signed distance, with gradients of their own."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from ponderv2.rendering import ConditionedMLP, SDFField
from ponderv2.structures import FeatureVolume, VoxelGrid

GRID = VoxelGrid((-8.0, -8.0, -2.0, 8.0, 8.0, 2.0), (6, 5, 3))


def _field(**kwargs):
    field = SDFField(feature_channels=4, hidden_channels=6, geometry_channels=5, sdf_layers=3, color_layers=2, **kwargs)
    # At its initial size the network is almost linear, which would hide a wrong second derivative.
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.mul_(2)
    return field.double()


def _volume(requires_grad=False):
    data = torch.randn(2, 4, *GRID.shape, dtype=torch.float64, requires_grad=requires_grad)
    return FeatureVolume(data, GRID)


def _points(n=40):
    # Away from the borders of cells, where a trilinear reading has no derivative.
    index = torch.rand(2, n, 3, dtype=torch.float64) * 0.8 + 0.1 + torch.randint(0, 2, (2, n, 3))
    scale, shift = GRID.index_map(dtype=torch.float64)
    return (index - shift) / scale


def test_parameter_counts_are_the_published_ones():
    field = SDFField()
    assert sum(p.numel() for p in field.sdf_mlp.parameters()) == 4881
    assert sum(p.numel() for p in field.color_mlp.parameters()) == 4451


def _sdf_by_autograd(field, volume, points):
    """The same signed distance with positions that carry gradients: torch's lookup, then the network."""
    lower, upper = points.new_tensor(GRID.lower), points.new_tensor(GRID.upper)
    normalized = (points - lower) / (upper - lower) * 2 - 1
    features = torch.nn.functional.grid_sample(
        volume.data, normalized[:, :, None, None], align_corners=False, padding_mode="zeros"
    )[..., 0, 0].transpose(1, 2)
    return field.sdf_mlp(points * GRID.scene_scale, features)[..., 0]


def test_normals_equal_autograd():
    field, volume, points = _field(), _volume(), _points().requires_grad_()
    (by_metre,) = torch.autograd.grad(_sdf_by_autograd(field, volume, points).sum(), points)
    normal = field(volume, points.detach(), torch.zeros_like(points)).normal
    torch.testing.assert_close(normal, by_metre / GRID.scene_scale)


def test_normals_equal_finite_differences():
    field, volume, points = _field(), _volume(), _points()
    normal = field(volume, points, torch.zeros_like(points)).normal
    step = 1e-5
    for axis in range(3):
        offset = torch.zeros(3, dtype=torch.float64)
        offset[axis] = step
        slope = (field.sdf(volume, points + offset) - field.sdf(volume, points - offset)) / (2 * step)
        torch.testing.assert_close(normal[..., axis], slope / GRID.scene_scale, rtol=1e-4, atol=1e-6)


def test_normals_have_autograds_gradients_to_volume_and_weights():
    field, volume, points = _field(), _volume(requires_grad=True), _points().requires_grad_()
    direction = torch.randn(2, 40, 3, dtype=torch.float64)
    inputs = [volume.data, *field.sdf_mlp.parameters()]
    (by_metre,) = torch.autograd.grad(_sdf_by_autograd(field, volume, points).sum(), points, create_graph=True)
    reference = torch.autograd.grad((by_metre / GRID.scene_scale * direction).sum(), inputs, allow_unused=True)
    normal = field(volume, points.detach(), direction).normal
    ours = torch.autograd.grad((normal * direction).sum(), inputs, allow_unused=True)
    for a, b in zip(ours, reference, strict=True):
        # What the normal does not depend on (the last bias) is None for both, or zero. torch's softplus is
        # cut off at 20, so its own slope differs from ours by 2e-9.
        a, b = (torch.zeros(1, dtype=torch.float64) if g is None else g for g in (a, b))
        torch.testing.assert_close(a, b.expand_as(a), rtol=1e-6, atol=1e-8)


def test_gradcheck_of_all_outputs_to_the_volume():
    field, volume, points = _field(), _volume(requires_grad=True), _points(3)
    directions = torch.randn_like(points)

    def outputs(data):
        out = field(FeatureVolume(data, GRID), points, directions)
        return out.sdf, out.normal, out.rgb

    assert gradcheck(outputs, (volume.data,), atol=1e-4)


def test_values_that_are_kept_and_values_that_are_computed_again_have_the_same_gradients():
    field, volume, points = _field(), _volume(requires_grad=True), _points()
    inputs, gradients = [volume.data, *field.parameters()], []
    for chunk_size in (None, 20, 7):
        # Of 80 points, 20 are a quarter and all are kept; sevens are computed again.
        field.chunk_size = chunk_size
        out = field(volume, points, torch.ones_like(points))
        gradients.append(torch.autograd.grad((out.sdf + out.rgb.sum(dim=-1) + out.normal.sum(dim=-1)).sum(), inputs))
    torch.testing.assert_close(gradients[1], gradients[0])
    torch.testing.assert_close(gradients[2], gradients[0])


def test_normals_exist_without_gradients():
    field, volume, points = _field(), _volume(), _points()
    with torch.no_grad():
        inside = field(volume, points, torch.zeros_like(points)).normal
    torch.testing.assert_close(inside, field(volume, points, torch.zeros_like(points)).normal.detach())


def test_a_field_without_colour_has_no_colour_parameters():
    field = SDFField(color_layers=0)
    assert field.color_mlp is None
    assert sum(p.numel() for p in field.parameters()) == 4881


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match="gelu"):
        ConditionedMLP(4, 1, 2, activation="gelu")


def _layer_by_layer(network, points, condition):
    """The perceptron as it is published: nothing that comes before a layer is folded into it."""
    x = network.point_proj(points)
    added = network.condition_proj(condition).split(x.shape[-1], dim=-1)
    for layer, extra in zip(network.layers[:-1], added[:-1], strict=True):
        x = layer(x + extra)
        x = F.softplus(x, beta=100.0) if network.activation == "softplus" else F.relu(x)
    return network.layers[-1](x + added[-1])


@pytest.mark.parametrize("activation", ["softplus", "relu"])
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_folded_layers_give_the_output_and_the_gradients_of_the_published_ones(activation, layers):
    network = ConditionedMLP(5, 3, layers, 7, activation).double()
    points = torch.randn(2, 30, 3, dtype=torch.float64)
    condition = torch.randn(2, 30, 5, dtype=torch.float64, requires_grad=True)
    inputs, slope = [condition, *network.parameters()], torch.randn(2, 30, 3, dtype=torch.float64)
    outputs = network(points, condition), _layer_by_layer(network, points, condition)
    torch.testing.assert_close(*outputs)
    ours, reference = (torch.autograd.grad(output, inputs, slope) for output in outputs)
    # Autograd's own softplus is cut off at 20.
    torch.testing.assert_close(ours, reference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("activation", ["softplus", "relu"])
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_gradient_by_condition_equals_autograd(activation, layers):
    network = ConditionedMLP(5, 3, layers, 7, activation).double()
    points = torch.randn(30, 3, dtype=torch.float64, requires_grad=True)
    condition = torch.randn(30, 5, dtype=torch.float64, requires_grad=True)
    output, by_point, by_condition = network.with_gradient(points, condition)
    reference = torch.autograd.grad(network(points, condition)[..., 0].sum(), (points, condition))
    torch.testing.assert_close(by_point, reference[0])
    torch.testing.assert_close(by_condition, reference[1])
    torch.testing.assert_close(output, network(points, condition))


def _autocast_results(field, volume, points, directions, device, dtype, inside):
    """Outputs and gradients of a field under autocast, with the backward pass inside or outside of it."""
    field, data = field.to(device), volume.data.detach().to(device).requires_grad_()
    points, directions = points.to(device), directions.to(device)
    leaves = [data, *field.parameters()]

    def gradients(out):
        total = out.sdf.square().sum() + out.normal.square().sum() + out.rgb.float().square().sum()
        return torch.autograd.grad(total, leaves)

    with torch.autocast(device, dtype):
        # As a convolution leaves a volume, and as a sampler reads it before.
        seen = FeatureVolume(data.to(dtype), GRID)
        with torch.no_grad():
            field.sdf(seen, points)
        out = field(seen, points, directions)
        found = gradients(out) if inside else None
    found = found or gradients(out)
    return [v.detach().cpu() for v in (out.sdf, out.normal, out.rgb)], [g.cpu() for g in found]


def _check_autocast(device, dtype, inside, chunk_size):
    field = _field(chunk_size=chunk_size).float()
    # Chunks of this size on any device.
    field._chunk_size = lambda points: chunk_size
    volume, points = FeatureVolume(_volume().data.float(), GRID), _points().float()
    directions = F.normalize(torch.randn(2, 40, 3), dim=-1)
    rounded = FeatureVolume(volume.data.to(dtype).float(), GRID)
    expected = field(rounded, points, directions)
    outputs, gradients = _autocast_results(field, volume, points, directions, device, dtype, inside)
    # Distances and normals are in single precision, colors are not.
    for one, other, tolerance in zip(outputs, (expected.sdf, expected.normal, expected.rgb), (1e-4, 1e-4, 0.05)):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    assert all(torch.isfinite(g).all() and g.abs().sum() > 0 for g in gradients)
    return gradients


@pytest.mark.parametrize("chunk_size", [None, 16], ids=["whole", "chunks"])
def test_autocast_trains_the_field_wherever_its_backward_pass_is(chunk_size):
    gradients = []
    for inside in (True, False):
        torch.manual_seed(0)
        gradients.append(_check_autocast("cpu", torch.bfloat16, inside, chunk_size))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05 * float(other.abs().max()))


def test_signed_distances_tell_near_points_apart_under_autocast():
    field, volume = _field().float(), FeatureVolume(_volume().data[:1].float(), GRID)
    points = torch.tensor([6.0, 1.0, 0.5]) + torch.arange(200.0)[None, :, None] * torch.tensor([0.01, 0.0, 0.0])
    expected = field.sdf(volume, points)
    with torch.autocast("cpu", torch.bfloat16):
        found = field.sdf(volume, points)
    assert torch.equal(found, expected)
    assert len(found.unique()) > 190


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
def test_autocast_trains_the_field_on_a_gpu(dtype, inside):
    _check_autocast("cuda", dtype, inside, 16)


def test_a_gradient_for_points_is_refused_and_not_left_out():
    field, points = _field(), _points().requires_grad_()
    with pytest.raises(NotImplementedError, match=r"points requires a gradient.*FieldOutput\.normal"):
        field.sdf(_volume(), points)
    with pytest.raises(NotImplementedError, match=r"points requires a gradient.*FieldOutput\.normal"):
        field(_volume(), points, F.normalize(torch.randn(2, 40, 3, dtype=torch.float64), dim=-1))
