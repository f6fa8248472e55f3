"""The scene box."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ponderv2.rendering import BoxCollider

BOX = (-4.0, -3.0, -1.0, 4.0, 3.0, 2.0)


def _inside(points):
    low, high = points.new_tensor(BOX[:3]), points.new_tensor(BOX[3:])
    return ((points >= low - 1e-9) & (points <= high + 1e-9)).all(dim=-1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-6, 6), min_size=3, max_size=3), st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_hits_agree_with_marching(origin, direction):
    direction = torch.tensor([direction], dtype=torch.float64)
    if direction.norm() < 0.1:
        return
    direction = direction / direction.norm()
    origin = torch.tensor([origin], dtype=torch.float64)
    near, far, hit = BoxCollider(near=0.5)(origin, direction, BOX)
    t = torch.linspace(0.5, 30, 3000, dtype=torch.float64)
    marched = _inside(origin + direction * t[:, None])
    if marched.sum() > 2:
        assert hit.item()
        assert abs(near.item() - t[marched][0].item()) < 0.02
        assert abs(far.item() - t[marched][-1].item()) < 0.02
    elif hit.item():  # at most a touched edge
        assert far - near < 0.05


def test_rays_along_an_axis_hit():
    origin = torch.zeros(3, 3)
    near, far, hit = BoxCollider(near=1.0)(origin, torch.eye(3), BOX)
    assert hit.all()
    torch.testing.assert_close(far, torch.tensor([4.0, 3.0, 2.0]))
    torch.testing.assert_close(near, torch.ones(3))


def test_a_ray_that_misses_is_flagged_and_still_has_an_interval():
    origin, direction = torch.tensor([[10.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    near, far, hit = BoxCollider()(origin, direction, BOX)
    assert not hit.item()
    assert (far > near).item()
