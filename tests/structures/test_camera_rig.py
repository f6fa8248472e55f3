"""The rig: batches of it, and where its cameras are."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ponderv2.geometry import (
    compose_rig,
    image_flip,
    image_resize,
    rotation_z,
    scaling_matrix,
    translation_matrix,
)
from ponderv2.structures import CameraRig

MATRICES = ("lidar2cam", "cam2img", "lidar2img", "img2lidar")


def rig(cameras: int, lidar_aug: torch.Tensor | None = None, height: int = 90) -> CameraRig:
    axes = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.float64)
    lidar2cam = torch.stack(
        [axes @ translation_matrix((0.3 * k, -1.0, 0.5)) @ rotation_z(math.tau * k / cameras) for k in range(cameras)]
    )
    cam2img = torch.eye(4, dtype=torch.float64).repeat(cameras, 1, 1)
    cam2img[:, :2, :3] = torch.tensor([[130.0, 0, 79.5], [0, 131.0, 44.5]], dtype=torch.float64)
    return compose_rig(
        lidar2cam,
        cam2img,
        torch.eye(4, dtype=torch.float64) if lidar_aug is None else lidar_aug,
        (image_flip(80) @ image_resize(0.5, 0.5)).expand(cameras, 4, 4),
        torch.tensor([[height, 160]] * cameras),
        (height, 160),
    )


def test_samples_with_different_numbers_of_cameras_make_no_batch():
    with pytest.raises(ValueError, match=r"different numbers of cameras: \[1, 6\]"):
        CameraRig.stack([rig(6), rig(1), rig(6)], (90, 160))


def test_a_batch_holds_its_samples_in_order():
    rigs = [rig(6), rig(6, rotation_z(0.3), height=80)]
    batch = CameraRig.stack(rigs, (96, 160))
    assert batch.num_cameras == 6
    assert batch.padded_size == (96, 160)
    assert batch.lidar2img.shape == (2, 6, 4, 4)
    for name in (*MATRICES, "image_size"):
        assert all(torch.equal(getattr(batch, name)[k], getattr(r, name)) for k, r in enumerate(rigs))
        assert torch.equal(getattr(batch.first(), name), getattr(rigs[0], name))
    assert torch.equal(batch.origins[1], rigs[1].origins)


@settings(max_examples=25, deadline=None)
@given(st.floats(-math.pi, math.pi), st.floats(0.5, 2.0), st.tuples(*[st.floats(-2, 2)] * 3))
def test_origins_are_where_lidar2cam_says_also_when_the_scene_is_scaled(angle, factor, offset):
    augmented = rig(6, translation_matrix(offset) @ scaling_matrix(factor) @ rotation_z(angle))
    from_calibration = torch.linalg.inv(augmented.lidar2cam)[:, :3, 3]
    torch.testing.assert_close(augmented.origins, from_calibration, rtol=0, atol=1e-10)
    # And a camera centre is a point of the scene: it moves as the points do.
    moved = factor * rig(6).origins @ rotation_z(angle)[:3, :3].T + torch.tensor(offset, dtype=torch.float64)
    torch.testing.assert_close(augmented.origins, moved, rtol=0, atol=1e-10)


def test_a_dtype_is_that_of_the_matrices_alone():
    moved = rig(3).to("cpu", torch.float32)
    assert {getattr(moved, name).dtype for name in MATRICES} == {torch.float32}
    assert moved.image_size.dtype == torch.int64
    assert moved.padded_size == (90, 160)
    assert torch.equal(moved.lidar2img, rig(3).lidar2img.float())
    assert rig(3).to("cpu").lidar2img.dtype == torch.float64
