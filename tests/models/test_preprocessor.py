"""Packed samples to a batch."""

import pytest
import torch

from ponderv2.models import SensorPreprocessor
from tests.factories.camera_models import packed


def test_images_are_normalised_and_padded_at_the_bottom_right(frame_root):
    data = packed(frame_root, samples=2)
    raw = data["inputs"]["img"][0].float()
    preprocessor = SensorPreprocessor()
    batch = preprocessor(data)["inputs"]
    assert batch.images.shape == (2, 6, 3, 96, 160)
    assert batch.rig.padded_size == (96, 160)
    assert batch.rig.image_size.tolist() == [[[90, 160]] * 6] * 2
    assert (batch.images[..., 90:, :] == 0).all()
    torch.testing.assert_close(preprocessor.to_rgb(batch.images)[0, ..., :90, :], raw / 255, atol=1e-5, rtol=0)


def test_images_are_laid_out_plane_by_plane_however_they_come(frame_root):
    data = packed(frame_root, samples=1)
    (sample,) = data["inputs"]["img"]
    assert not sample.is_contiguous()
    found = SensorPreprocessor()(data)["inputs"].images
    data["inputs"]["img"] = [sample.contiguous()]
    expected = SensorPreprocessor()(data)["inputs"].images
    assert found.is_contiguous()
    assert torch.equal(found, expected)


def test_matrices_become_float32_and_rays_are_stacked(frame_root):
    batch = SensorPreprocessor()(packed(frame_root, samples=2))["inputs"]
    assert batch.rig.lidar2img.dtype == torch.float32
    assert batch.rays.origins.shape == (2, 6, 16, 3)
    assert batch.batch_size == 2
    assert len(batch.points) == 2


def test_different_numbers_of_cameras_are_one_clear_error(frame_root):
    data = packed(frame_root, samples=2)
    data["inputs"]["img"][1] = data["inputs"]["img"][1][:5]
    with pytest.raises(ValueError, match=r"numbers of cameras: \[5, 6\]"):
        SensorPreprocessor()(data)
