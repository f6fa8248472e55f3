"""The published placement is one setting of the grid: encoders, renderer, detection head and files follow it."""

import json

import pytest
import torch
import torch.nn.functional as F

from ponderv2.checkpoints import config_from_data, config_to_data
from ponderv2.checkpoints.encoder_config import build_encoder
from ponderv2.errors import UserError
from ponderv2.geometry import sample_volume
from ponderv2.lifting import SplatLift
from ponderv2.registry import MODELS
from ponderv2.rendering import trilinear
from ponderv2.structures import SensorBatch
from tests.factories.camera_models import RANGE, model_config
from tests.factories.lidar_models import fusion_model_config
from tests.factories.published_lifts import published_pull, published_splat
from tests.factories.small_rig import PADDED, small_rig

SIZE = (24, 24, 4)


def published_config(**changes) -> dict:
    config = model_config()["encoder"] | changes
    config["grid"]["placement"] = "published"
    return config


def encoded(config: dict):
    """An encoder in evaluation, its output for made-up images, and the maps and depths that its lift gets."""
    torch.manual_seed(0)
    encoder = MODELS.build(config).eval()
    rig = small_rig(2, turn=0.31, center=(0.37, -0.23, 0.11)).to("cpu", torch.float32)
    images = torch.randn(1, 2, 3, *PADDED)
    got = {}
    encoder.lift.register_forward_pre_hook(lambda _, inputs: got.update(features=inputs[0], depths=inputs[1]))
    with torch.no_grad():
        return encoder(SensorBatch(images=images, rig=rig)).volume, got["features"], got["depths"], rig


def test_a_camera_encoder_pulls_as_published():
    volume, features, depths, rig = encoded(published_config())
    expected = published_pull(features, depths, rig.lidar2img, PADDED, RANGE, SIZE, (0.0, 32.0))
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(volume.data, expected, rtol=1e-4, atol=1e-4)


def test_a_camera_encoder_splats_as_published():
    config = published_config(lift=dict(type=SplatLift, depth_range=(1.013, 32.041)), neck_strides=(8,))
    config["img_backbone"]["out_indices"] = (1,)
    config["img_neck"] |= dict(in_channels=[16], num_outs=1)
    volume, features, depths, rig = encoded(config)
    expected, places = published_splat(features[0], depths[0], rig.lidar2img, 8, RANGE, SIZE, (1.013, 32.041))
    assert (places - places.round()).abs().min() > 1e-5
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(volume.data, expected, rtol=1e-4, atol=1e-4)


def test_offsets_that_the_published_placement_would_ignore_are_refused():
    with pytest.raises(UserError, match=r"neck_offsets: \(1\.5, 3\.5\) does not go with .*placement='published'"):
        MODELS.build(published_config(neck_offsets=(1.5, 3.5)))


def test_the_renderer_reads_a_volume_from_end_to_end_and_the_detection_head_at_the_centers_of_cells():
    volume, *_ = encoded(published_config())
    points = volume.grid.from_fraction(torch.rand(1, 200, 3) * 1.2 - 0.1)
    unit = 2 * volume.grid.to_fraction(points)[:, None, None] - 1
    by_decoder, by_head = (
        F.grid_sample(volume.data, unit, align_corners=corners)[:, :, 0, 0].transpose(1, 2) for corners in (True, False)
    )
    assert (by_decoder - by_head).abs().max() > 1e-2
    torch.testing.assert_close(trilinear(volume.data, volume.grid.to_index(points)), by_decoder, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sample_volume(volume, points), by_head, rtol=1e-4, atol=1e-4)


def test_a_fusion_encoder_refuses_two_placements():
    config = fusion_model_config()["encoder"]
    config["camera"]["grid"] = dict(config["camera"]["grid"], placement="published")
    with pytest.raises(ValueError, match=r"placement='published'.*placement='centered'"):
        MODELS.build(config)


def test_an_encoder_file_keeps_the_placement():
    data = json.loads(json.dumps(config_to_data(published_config(), "encoder", "encoder")))
    assert build_encoder(config_from_data(data, "encoder", "encoder"), "cpu", "encoder").grid.published
