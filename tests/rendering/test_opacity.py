"""NeuS opacity: the log form is the published quotient without its epsilon."""

import torch

from ponderv2.rendering import NeuSOpacity
from ponderv2.rendering.opacity import neus_log_transparency


def _samples(n=500):
    generator = torch.Generator().manual_seed(1)
    sdf = torch.randn(n, generator=generator, dtype=torch.float64) * 0.1
    slope = -torch.rand(n, generator=generator, dtype=torch.float64)
    delta = torch.rand(n, generator=generator, dtype=torch.float64) * 0.05
    return sdf, slope, delta


def test_log_space_opacity_equals_direct_opacity():
    sdf, slope, delta = _samples()
    for sharpness in (1.0, 20.0, 64.0):
        before = torch.sigmoid(sharpness * (sdf - slope * delta / 2))
        after = torch.sigmoid(sharpness * (sdf + slope * delta / 2))
        direct = (before - after) / before
        ours = -torch.expm1(neus_log_transparency(sdf, slope, delta, sharpness))
        torch.testing.assert_close(ours, direct)


def test_deep_inside_float32_stays_exact_where_the_quotient_breaks():
    # sigma(-200) is zero in float32; the published form divides epsilons there.
    log_transparency = neus_log_transparency(
        torch.tensor([-2.0]), torch.tensor([-1.0]), torch.tensor([0.01]), torch.tensor(100.0)
    )
    torch.testing.assert_close(log_transparency, torch.tensor([-1.0]), rtol=1e-4, atol=0)


def test_opacity_is_between_zero_and_one_and_zero_where_the_ray_leaves_the_surface():
    sdf, _, delta = _samples()
    opacity = NeuSOpacity().double()
    normal = torch.randn(1, 500, 3, dtype=torch.float64)
    direction = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    log_transparency = opacity(sdf[None], normal, direction, delta[None])
    assert (log_transparency <= 0).all()
    leaving = normal[..., 2] >= 0
    assert (log_transparency[leaving] == 0).all()
    assert (log_transparency[~leaving] < 0).any()


def test_sharpness_starts_at_the_published_value():
    torch.testing.assert_close(NeuSOpacity(0.3).sharpness.detach(), torch.tensor(20.0855), rtol=1e-4, atol=0)
