"""The head of points: what it reads of voxels, volumes and images."""

import pytest
import torch
from torch import nn

from ponderv2.encoders import voxelize
from ponderv2.geometry import sample_volume
from ponderv2.heads import PointSegmentationHead
from ponderv2.structures import EncoderOutput, FeatureVolume, ImageFeatures, MapCells, VoxelGrid, Voxels
from tests.factories.small_rig import small_rig

GRID = VoxelGrid((-4, -4, -2, 4, 4, 2), (8, 8, 4))


def _clouds() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.rand(count, 5, generator=generator) - 0.5) * 9 for count in (30, 20)]


def _no_volume() -> FeatureVolume:
    raise AssertionError("the volume is not needed")


def _encoded(clouds: list[torch.Tensor], channels: int = 6) -> EncoderOutput:
    voxels = voxelize(clouds, GRID)
    features = torch.randn(len(voxels), channels, generator=torch.Generator().manual_seed(1))
    return EncoderOutput(_no_volume, voxels=voxels.with_features(features))


def test_a_point_is_classified_by_the_feature_of_its_voxel_and_its_offset_in_it():
    clouds = _clouds()
    encoded = _encoded(clouds)
    head = PointSegmentationHead(6, num_classes=3)
    logits = head(encoded, clouds)
    places = encoded.voxels.locate(clouds)
    expected = torch.cat([encoded.voxels.features[places.rows] * places.found[:, None], places.offsets], dim=1)
    torch.testing.assert_close(logits, head.classifier(expected))
    # Points outside the range have no voxel.
    assert not places.found.all()
    torch.testing.assert_close(logits[~places.found], head.classifier.bias.expand(int((~places.found).sum()), 3))


def test_without_the_offset_points_of_a_voxel_are_alike():
    clouds = [torch.tensor([[0.1, 0.1, 0.1, 0, 0], [0.9, 0.8, 0.7, 0, 0]])]
    alike = PointSegmentationHead(6, use_offset=False)(_encoded(clouds), clouds)
    apart = PointSegmentationHead(6)(_encoded(clouds), clouds)
    torch.testing.assert_close(alike[0], alike[1])
    assert (apart[0] - apart[1]).abs().max() > 0.01


def test_an_encoder_without_voxels_is_read_from_its_volume():
    clouds = _clouds()
    volume = FeatureVolume(torch.randn(2, 6, 4, 8, 8), GRID)
    head = PointSegmentationHead(6, use_offset=False)
    expected = torch.cat(
        [sample_volume(FeatureVolume(volume.data[b : b + 1], GRID), clouds[b][None, :, :3])[0] for b in range(2)]
    )
    torch.testing.assert_close(head(EncoderOutput(volume), clouds), head.classifier(expected))
    assert PointSegmentationHead(6)(EncoderOutput(volume), clouds).shape == (50, 16)


def test_a_hidden_layer_and_norms_also_take_a_batch_of_one_point():
    clouds = [torch.zeros(1, 5)]
    head = PointSegmentationHead(6, hidden_channels=8, norm_features=True).train()
    assert torch.isfinite(head(_encoded(clouds), clouds)).all()


def test_normed_features_do_not_depend_on_their_scale():
    clouds = _clouds()
    encoded = _encoded(clouds)
    scaled = EncoderOutput(_no_volume, voxels=encoded.voxels.with_features(1000 * encoded.voxels.features))
    head = PointSegmentationHead(6, norm_features=True).train()
    torch.testing.assert_close(head(encoded, clouds), head(scaled, clouds), atol=1e-3, rtol=1e-3)


def test_features_of_images_are_appended():
    clouds = [cloud[:20] for cloud in _clouds()]
    encoded = _encoded(clouds)
    rig = small_rig(batch=2).to("cpu", torch.float32)
    size = [rig.padded_size[k] // 4 for k in range(2)]
    maps = [torch.randn(2, rig.num_cameras, 5, *size)]
    with_images = EncoderOutput(_no_volume, voxels=encoded.voxels, images=ImageFeatures(maps, [MapCells(4)]))
    head = PointSegmentationHead(6, image_channels=5)
    logits = head(with_images, clouds, rig)
    changed = EncoderOutput(_no_volume, voxels=encoded.voxels, images=ImageFeatures([maps[0] + 1], [MapCells(4)]))
    assert not torch.equal(head(changed, clouds, rig), logits)
    with pytest.raises(ValueError, match="there are no maps of images"):
        head(encoded, clouds, rig)


def test_an_encoder_of_other_channels_is_refused():
    clouds = _clouds()
    with pytest.raises(ValueError, match="built for 7 channels of voxels, the encoder gives 6"):
        PointSegmentationHead(7)(_encoded(clouds), clouds)


def test_every_voxel_with_a_point_gets_a_gradient():
    clouds = _clouds()
    encoded = _encoded(clouds)
    features = nn.Parameter(encoded.voxels.features)
    voxels = Voxels(features, encoded.voxels.coordinates, 2, GRID)
    labels = torch.zeros(50, dtype=torch.long)
    losses = PointSegmentationHead(6).loss(EncoderOutput(_no_volume, voxels=voxels), clouds, labels)
    sum(losses.values()).backward()
    assert features.grad.any(dim=1).all()
