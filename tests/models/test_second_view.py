"""A second view: the key frame before or the same one, turned with all its sensors, with fewer returns."""

from dataclasses import replace

import pytest
import torch

from ponderv2.errors import UserError
from ponderv2.geometry import project, transform_points
from ponderv2.models.second_view import derived_generator, second_view, turned_rig
from ponderv2.structures import PastBatch, SensorBatch
from tests.factories.small_rig import small_rig


def _batch() -> SensorBatch:
    torch.manual_seed(0)
    rig = small_rig(batch=2).to("cpu", torch.float32)
    return SensorBatch(rig, torch.rand(2, 2, 3, 64, 96), [10 * torch.rand(200, 5), 10 * torch.rand(100, 5)])


def _past(batch: SensorBatch) -> PastBatch:
    motion = torch.eye(4).repeat(2, 1, 1)
    motion[0, :2, 3] = torch.tensor([3.0, -1.0])
    clouds = [5 * torch.rand(150, 5), batch.points[1]]
    return PastBatch(torch.rand(2, 2, 3, 64, 96), batch.rig, motion, torch.tensor([True, False]), points=clouds)


def test_places_of_the_batch_are_moved_to_where_the_second_view_has_them():
    batch = _batch()
    again = second_view(batch, turn=2.0, dropped=0.0)
    assert not again.earlier.any()
    for b in range(2):
        moved = transform_points(again.motion[b], batch.points[b][:, :3])
        torch.testing.assert_close(again.batch.points[b][:, :3], moved)
        assert torch.equal(again.batch.points[b][:, 3:], batch.points[b][:, 3:])
    assert not torch.allclose(again.motion[0], again.motion[1])


def test_the_frame_before_takes_the_place_of_the_batch_where_there_is_one():
    batch = _batch()
    past = _past(batch)
    again = second_view(replace(batch, history=(past,)), turn=0.0, dropped=0.0)
    assert again.earlier.tolist() == [True, False]
    torch.testing.assert_close(again.motion, past.motion)
    for seen, cloud in zip(again.batch.points, past.points, strict=True):
        torch.testing.assert_close(seen, cloud)
    assert torch.equal(again.batch.images, past.images)


def test_cameras_turn_with_the_scene():
    batch = _batch()
    again = second_view(batch, turn=2.0, dropped=0.0)
    turns = again.motion
    points = torch.rand(2, 2, 30, 3) * 5
    before = project(points, batch.rig.lidar2img)
    rig = turned_rig(batch.rig, turns)
    turned = transform_points(turns[:, None].expand(-1, 2, -1, -1), points)
    for pixels, expected in zip(project(turned, rig.lidar2img), before, strict=True):
        torch.testing.assert_close(pixels, expected, atol=1e-2, rtol=1e-3)
    torch.testing.assert_close(rig.img2lidar @ rig.lidar2img, torch.eye(4).expand(2, 2, 4, 4), atol=1e-4, rtol=0)
    torch.testing.assert_close(again.batch.rig.lidar2img, rig.lidar2img)


def test_a_generator_of_its_own_takes_no_number_of_others_and_hangs_on_them():
    batch = _batch()
    state = torch.get_rng_state()
    seen = [second_view(batch, generator=derived_generator(torch.device("cpu"))).motion for _ in range(2)]
    assert torch.equal(*seen)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert not torch.equal(second_view(batch, generator=derived_generator(torch.device("cpu"))).motion, seen[0])


def test_at_most_the_given_share_of_returns_is_left_out():
    batch = _batch()
    shares = [len(second_view(batch, dropped=0.5).batch.points[0]) / 200 for _ in range(30)]
    assert min(shares) < 0.75
    assert 0.4 < min(shares) <= max(shares) <= 1


def test_a_batch_without_points_or_cameras_is_refused():
    with pytest.raises(UserError, match="key points: the batch has no LiDAR points or no cameras"):
        second_view(replace(_batch(), points=None))
