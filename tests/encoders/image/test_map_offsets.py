"""Where the cells of image maps lie, measured with ramps of pixel coordinates, and that lifts read them there.

With averaging weights a network takes weighted means of pixels, so the value of a cell in a ramp is the pixel on which
the cell is centered. Maximum pooling takes the upper end of what it sees; a falling ramp takes as much off.
"""

import pytest
import torch
from mmdet.models.necks import FPN
from torch import nn

from ponderv2.encoders import CameraEncoder, PonderConvNeXt, PonderResNet, SimpleDepth
from ponderv2.encoders.image.map_offsets import neck_map_offsets
from ponderv2.errors import UserError
from ponderv2.geometry import project
from ponderv2.lifting import PullLift
from ponderv2.registry import MODELS
from ponderv2.structures import CameraRig, SensorBatch
from tests.factories.small_rig import small_rig

SIDE = 384


def averaging(network: nn.Module) -> nn.Module:
    """Make a network take weighted means of pixels: no norms, positive equal weights, residual branches of nothing."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        for name, child in module.named_children():
            if type(child).__name__.endswith(("LayerNorm", "BatchNorm2d")):
                setattr(module, name, nn.Identity())
    return network.eval()


def ramps(side: int = SIDE) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images [1, 3, side, side] of the column, of the column from the other side, and of ones."""
    column = torch.arange(float(side)).expand(1, 3, side, side)
    return column, side - 1 - column, torch.ones(1, 3, side, side)


def centers(rising: torch.Tensor, falling: torch.Tensor, ones: torch.Tensor, side: int = SIDE) -> torch.Tensor:
    """The pixels at which what made these three outputs looks."""
    return (rising - falling) / (2 * ones) + (side - 1) / 2


@torch.no_grad()
def measured_offsets(network, strides: tuple[int, ...]) -> list[float]:
    offsets = []
    for stride, *maps in zip(strides, *(network(image) for image in ramps()), strict=True):
        middle = maps[0].shape[-1] // 2
        pixel = centers(*(m[0, 0, middle, middle] for m in maps))
        offsets.append(float(pixel) - middle * stride)
    return offsets


BACKBONES = {
    "convnext": (PonderConvNeXt, dict(channels=(8, 8, 8, 8), layer_scale=1e-6), (1.5, 3.5, 7.5, 15.5)),
    "resnet": (PonderResNet, dict(channels=(8, 8, 8, 8), stem_channels=8), (0.0, 0.0, 0.0, 0.0)),
}


@pytest.mark.parametrize("kind", BACKBONES)
def test_cells_of_a_backbone_are_where_it_says(kind):
    backbone, arguments, offsets = BACKBONES[kind]
    network = averaging(backbone(depths=(1, 1, 1, 1), frozen_stages=-1, **arguments))
    assert network.offsets == offsets
    assert measured_offsets(network, network.strides) == pytest.approx(list(offsets), abs=0.02)


@pytest.mark.parametrize("kind", BACKBONES)
@pytest.mark.parametrize("extra", [False, "on_output"])
def test_extra_levels_of_a_pyramid_are_where_they_are_said_to_be(kind, extra):
    backbone, arguments, _ = BACKBONES[kind]
    network = averaging(backbone(depths=(1, 1), out_indices=(1,), frozen_stages=-1, **arguments | short(arguments)))
    neck = averaging(FPN(in_channels=[8], out_channels=8, num_outs=3, add_extra_convs=extra))
    strides = (8, 16, 32)
    offsets = neck_map_offsets(strides, network.strides, network.offsets)
    assert offsets == (network.offsets[0],) * 3
    assert measured_offsets(lambda image: neck(network(image)), strides) == pytest.approx(list(offsets), abs=0.02)


def short(arguments: dict) -> dict:
    return {"channels": arguments["channels"][:2]}


@pytest.mark.parametrize("kind", BACKBONES)
def test_a_cell_reads_every_level_at_the_pixel_it_projects_to(kind):
    # Of two levels, one of them extra. Before, ResNet was read 3.5 and 7.5 pixels off, the extra level of ConvNeXt 4.
    backbone, arguments, _ = BACKBONES[kind]
    body = dict(type=backbone, depths=(1, 1), out_indices=(1,), frozen_stages=-1, **arguments | short(arguments))
    encoder = averaging(
        MODELS.build(
            dict(
                type=CameraEncoder,
                grid=dict(point_cloud_range=(1.0, -6.0, -6.0, 13.0, 6.0, 6.0), size=(6, 8, 8)),
                img_backbone=body,
                img_neck=dict(type=FPN, in_channels=[8], out_channels=8, num_outs=2, add_extra_convs="on_output"),
                neck_strides=(8, 16),
                depth_net=dict(type=SimpleDepth, in_channels=8, num_bins=4),
                lift=dict(type=PullLift, depth_range=(0.0, 16.0)),
                channels=8,
            )
        )
    )
    nn.init.zeros_(encoder.depth_net.conv.weight)
    rig = wide_rig()
    with torch.no_grad():
        volumes = [encoder(SensorBatch(images=i[None], rig=rig)).volume.data[0, 0].flatten() for i in ramps()]
    uv, depth = project(encoder.grid.centers().reshape(-1, 3), rig.lidar2img[0, 0].float())
    inner = (depth > 0.1) & ((uv > 110) & (uv < SIDE - 111)).all(dim=1)
    assert inner.sum() > 20
    read = centers(*(volume[inner] for volume in volumes))
    torch.testing.assert_close(read, uv[inner, 0], rtol=0, atol=0.05)


def wide_rig() -> CameraRig:
    """One camera at the origin that looks along x, with square images of `SIDE` pixels."""
    zoom = torch.eye(4, dtype=torch.float64)
    zoom[0, 0] = zoom[1, 1] = 4.0
    rig = small_rig(1, img_aug=zoom, size=(SIDE, SIDE))
    tensors = {name: value for name, value in vars(rig).items() if isinstance(value, torch.Tensor)}
    return CameraRig(**tensors, padded_size=(SIDE, SIDE))


def test_given_offsets_are_used_and_must_be_as_many_as_strides():
    from tests.factories.camera_models import model_config

    config = model_config()["encoder"]
    assert MODELS.build(config).neck_offsets == (1.5, 3.5)
    assert MODELS.build(dict(config, neck_offsets=(0, 2))).neck_offsets == (0.0, 2.0)
    with pytest.raises(UserError, match=r"neck_offsets: \(1\.5,\) does not go with neck_strides \(4, 8\)"):
        MODELS.build(dict(config, neck_offsets=(1.5,)))


@pytest.mark.parametrize("stride", [2, 24, 48])
def test_a_stride_that_nothing_explains_asks_for_offsets(stride):
    with pytest.raises(UserError, match=f"neck_strides: {stride} is no stride of the backbone.*give neck_offsets"):
        neck_map_offsets((8, stride), (8, 32), (3.5, 15.5))
