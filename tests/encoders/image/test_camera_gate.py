"""Camera awareness: the depth network knows each camera by its calibration and augmentation."""

import math

import pytest
import torch

from ponderv2.encoders import DepthNet
from ponderv2.encoders.image.camera_gate import CameraGate, camera_code
from ponderv2.geometry import image_resize, rotation_z
from ponderv2.structures import CameraRig
from tests.factories.small_rig import PADDED, small_rig

SMALL = dict(in_channels=4, num_bins=6, channels=8, pyramid_channels=3, num_blocks=1, dropout=0.0)


def _aware() -> DepthNet:
    return DepthNet(**SMALL, camera_aware=True).eval()


def test_the_code_has_intrinsics_extrinsics_and_both_augmentations():
    plain = camera_code(small_rig(3))
    assert plain.shape == (3, 18)
    torch.testing.assert_close(plain[0, :6], torch.tensor([0.05, 0, 0.0445, 0, 0.05, 0.0295], dtype=torch.float64))
    torch.testing.assert_close(plain[:, 6:].unflatten(1, (3, 4)), small_rig(3).lidar2cam[0, :, :3])
    resized = camera_code(small_rig(3, img_aug=image_resize(0.5, 0.5)))
    torch.testing.assert_close(resized[:, [0, 4]], plain[:, [0, 4]] / 2)
    assert torch.equal(resized[:, 6:], plain[:, 6:])
    turned = camera_code(small_rig(3, lidar_aug=rotation_z(0.3)))
    assert torch.equal(turned[:, :6], plain[:, :6])
    assert ((turned[:, 6:] - plain[:, 6:]).abs().amax(dim=1) > 0.1).all()


def test_the_gate_weights_each_channel_of_an_image_alike():
    features, gate = torch.randn(2, 8, 5, 7), CameraGate(8)
    share = gate(features, small_rig(2)) / features
    torch.testing.assert_close(share, share[..., :1, :1].expand_as(share))
    assert (share > 0).all()
    assert (share < 1).all()
    # The two cameras look to opposite sides.
    assert not torch.allclose(share[0], share[1], rtol=1e-3)


@pytest.mark.parametrize(
    "change", [dict(img_aug=image_resize(0.5, 0.5)), dict(turn=math.pi / 2), dict(center=(0.0, 0.0, 1.5))]
)
@torch.no_grad()
def test_the_same_features_of_another_camera_have_another_depth(change):
    net, features = _aware(), torch.randn(2, 4, 5, 7)
    rig, other = small_rig(2), small_rig(2, **change)
    assert (net(features, rig) - net(features, other)).abs().max() > 1e-5
    plain = DepthNet(**SMALL).eval()
    assert torch.equal(plain(features, rig), plain(features, other))


@torch.no_grad()
def test_cameras_of_two_samples_have_the_gates_of_their_own():
    rigs = [small_rig(2), small_rig(2, turn=0.7, center=(0.0, 0.0, 1.5))]
    fields = {k: torch.cat([getattr(r, k) for r in rigs]) for k in vars(rigs[0]) if k != "padded_size"}
    net, features = _aware(), torch.randn(4, 4, 5, 7)
    both = net(features, CameraRig(**fields, padded_size=PADDED))
    for b, rig in enumerate(rigs):
        torch.testing.assert_close(both[2 * b : 2 * b + 2], net(features[2 * b : 2 * b + 2], rig))


def test_every_parameter_gets_a_gradient():
    net = _aware().train()
    net(torch.randn(6, 4, 5, 7), small_rig(6))[:, 2].sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_without_a_rig_or_with_another_number_of_cameras_there_is_one_clear_error():
    with pytest.raises(ValueError, match="needs the rig"):
        _aware()(torch.randn(2, 4, 5, 7))
    with pytest.raises(ValueError, match="3 maps for 2 cameras"):
        _aware()(torch.randn(3, 4, 5, 7), small_rig(2))
