"""Stock models of mmdet3d load an exported encoder by `init_cfg` alone, and their modules compute what ours do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmdet3d.models.backbones import MinkUNetBackbone
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from ponderv2.checkpoints import export_encoder, stock_weights
from ponderv2.encoders import LidarEncoder, VoxelMinkUNet
from ponderv2.encoders.sparse.sparse_layers import to_dense
from ponderv2.registry import MODELS
from ponderv2.structures import VoxelGrid, Voxels
from tests.factories import published_image_modules as published
from tests.factories.camera_models import model_config
from tests.factories.image_backbones import DEPTHS, build, images
from tests.factories.lidar_models import fusion_model_config, lidar_model_config, unet_encoder_config
from tests.factories.tool_scripts import load_tool

REPOSITORY = Path(__file__).parents[2]
INTEROP = REPOSITORY / "configs" / "interop"


@pytest.fixture(autouse=True)
def _scope():
    """Names are those of mmdet3d, whatever scope a runner of an earlier test has left."""
    with DefaultScope.overwrite_default_scope("mmdet3d"):
        yield


def varied(module: nn.Module) -> nn.Module:
    """The module with no two weights alike, running statistics included."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point() and value.dim() < 2 and "feature_scale" not in name:
                value.uniform_(0.5, 1.5)
    return module.eval()


def exported(encoder: nn.Module, config: dict, folder: Path) -> Path:
    """A plain checkpoint of an encoder, made by the tool from the work dir that has its encoder file."""
    export_encoder(encoder, folder / "encoder.safetensors", config, model_config()["data_preprocessor"])
    tool = load_tool(REPOSITORY, "export_to_mmdet3d")
    assert tool.main([str(folder), str(folder / "stock.pth")]) == 0
    return folder / "stock.pth"


def loaded(name: str, checkpoint: Path, **options: object) -> tuple[nn.Module, dict]:
    """The stock model of a config, with weights by its own `init_weights`, and the checkpoint's weights."""
    config = Config.fromfile(INTEROP / name)
    config.merge_from_dict(options)
    config = Config(config.to_dict(), format_python_code=False)
    text = config.pretty_text
    assert "ponder" not in text.lower().replace("work_dirs/ponderv2_", "")
    for part in (config.model, config.model.get("backbone"), config.model.get("neck")):
        if part is not None and part.get("init_cfg", {}).get("type") == "Pretrained":
            part.init_cfg.checkpoint = str(checkpoint)
    model = MODELS.build(config.model)
    model.init_weights()
    return model.eval(), torch.load(checkpoint, weights_only=True)["state_dict"]


def covered(module: nn.Module, weights: dict, prefix: str) -> list[str]:
    """The names of a module's weights that have exactly the values of the checkpoint."""
    given = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    return [k for k, v in module.state_dict().items() if k in given and torch.equal(v, given[k])]


def camera_config() -> dict:
    """A camera encoder with BEVFormer-base's backbone, of depth 50, and neck."""
    return model_config()["encoder"] | dict(
        img_backbone=dict(type="PonderResNet", depth=50, out_indices=(1, 2, 3), frozen_stages=1),
        img_neck=dict(
            type="mmdet.FPN",
            in_channels=[512, 1024, 2048],
            out_channels=8,
            num_outs=4,
            add_extra_convs="on_output",
            relu_before_extra_convs=True,
        ),
        neck_strides=(8, 16, 32, 64),
    )


@torch.no_grad()
def test_fcos3d_takes_backbone_and_neck_and_computes_the_same_maps(tmp_path, capsys):
    encoder = varied(MODELS.build(camera_config()))
    checkpoint = exported(encoder, camera_config(), tmp_path)
    shown = capsys.readouterr().out
    assert "318 tensors for mmdet.ResNet(style='pytorch'): prefix=\"img_backbone.\"" in shown
    assert "left out: input_proj, a convolution after the neck" in shown
    small = {"model.backbone.depth": 50, "model.neck.out_channels": 8, "model.bbox_head.in_channels": 8}
    model, weights = loaded("fcos3d_r101_nuscenes.py", checkpoint, **small)
    assert len(covered(model.backbone, weights, "img_backbone.")) == len(model.backbone.state_dict()) == 318
    # All but the last of two extra levels.
    assert len(covered(model.neck, weights, "img_neck.")) == len(model.neck.state_dict()) - 2 == 14
    data = images(num_images=1)
    maps = model.neck(model.backbone(data))
    expected = encoder.img_neck(encoder.img_backbone(data))
    assert len(maps) == 5
    for actual, ours in zip(maps, expected, strict=False):
        torch.testing.assert_close(actual, ours, rtol=1e-4, atol=1e-4 * float(ours.abs().max()))


def test_the_stock_config_normalizes_images_as_the_pre_training_does():
    stock = Config.fromfile(INTEROP / "fcos3d_r101_nuscenes.py").model.data_preprocessor
    ours = MODELS.build(dict(type="SensorPreprocessor"))
    assert stock.bgr_to_rgb
    assert stock.mean == pytest.approx(ours.mean.flatten().tolist())
    assert stock.std == pytest.approx(ours.std.flatten().tolist())


def voxelnet_config() -> dict:
    return dict(
        type=LidarEncoder,
        grid=dict(point_cloud_range=(-3.6, -3.6, -5.0, 3.6, 3.6, 3.0), size=(12, 12, 5)),
        voxel_size=(0.075, 0.075, 0.2),
        pts_middle_encoder=dict(type="HeightKeepingSparseEncoder", stage_channels=(16, 32, 64, 128), channels=16),
        channels=16,
    )


@torch.no_grad()
def test_centerpoint_takes_the_sparse_encoder_and_computes_the_same_voxels(tmp_path, capsys):
    encoder = varied(MODELS.build(voxelnet_config()))
    checkpoint = exported(encoder, voxelnet_config(), tmp_path)
    assert "left out: pts_middle_encoder.project.weight, its last layer keeps height" in capsys.readouterr().out
    options = {"model.pts_middle_encoder.sparse_shape": [41, 96, 96]}
    model, weights = loaded("centerpoint_voxel0075_nuscenes.py", checkpoint, **options)
    middle = model.pts_middle_encoder
    names = [k for k in middle.state_dict() if not k.startswith("conv_out.")]
    assert len(names) == len(weights) == 120
    grid = VoxelGrid(encoder.voxel_grid.point_cloud_range, (96, 96, 40))
    places = (torch.rand(300, 3) * torch.tensor([40, 96, 96])).int()
    coordinates = torch.cat([torch.zeros(300, 1, dtype=torch.int32), places], dim=1).unique(dim=0)
    voxels = Voxels(torch.randn(len(coordinates), 5), coordinates, 1, grid)
    ours = []
    encoder.pts_middle_encoder.stages[-1].register_forward_hook(lambda module, given, result: ours.append(result))
    encoder.pts_middle_encoder(voxels, encoder.grid)
    middle.return_middle_feats = True
    _, found = middle(voxels.features, coordinates, 1)
    actual, expected = to_dense(found[-1]), to_dense(ours[0])
    assert actual.abs().max() > 0
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_minkunet_takes_all_weights(tmp_path):
    unet = dict(
        in_channels=4,
        base_channels=4,
        encoder_channels=(4, 8),
        encoder_blocks=(1, 1),
        decoder_channels=(8, 4),
        decoder_blocks=(1, 1),
    )
    ours = varied(VoxelMinkUNet(**unet))
    weights = {f"pts_middle_encoder.{k}": v for k, v in ours.state_dict().items()}
    stock = stock_weights(weights, {"type": "LidarEncoder", "pts_middle_encoder": {"type": "VoxelMinkUNet"}})
    torch.save({"state_dict": stock.weights}, tmp_path / "stock.pth")
    start = dict(type="Pretrained", checkpoint=str(tmp_path / "stock.pth"), prefix="pts_middle_encoder.")
    lists = {key: list(value) if isinstance(value, tuple) else value for key, value in unet.items()}
    model = MinkUNetBackbone(**lists, num_stages=2, sparseconv_backend="spconv", init_cfg=start)
    model.init_weights()
    assert model.state_dict().keys() == ours.state_dict().keys()
    assert all(torch.equal(value, ours.state_dict()[name]) for name, value in model.state_dict().items())


OFFICIAL = {"depthwise_conv": "dwconv", "pointwise_conv1": "pwconv1", "pointwise_conv2": "pwconv2"}


@torch.no_grad()
def test_a_convnext_has_the_names_of_mmpretrain_and_computes_the_same_maps():
    """mmpretrain's names, which are the original ones but for the layers in `OFFICIAL`, in a plain ConvNeXt."""
    backbone = build("convnext").eval()
    weights = {f"img_backbone.{k}": v for k, v in backbone.state_dict().items()}
    stock = stock_weights(weights, {"type": "CameraEncoder", "img_backbone": {"type": "PonderConvNeXt"}})
    assert len(stock.weights) == len(weights)
    assert not stock.left_out
    official = stock.weights
    for theirs, name in OFFICIAL.items():
        assert any(f".{theirs}." in key for key in official)
        official = {key.replace(f".{theirs}.", f".{name}."): value for key, value in official.items()}
    data = images(num_images=1)
    maps = published.convnext(official, data, DEPTHS, normed=range(4))
    for actual, expected in zip(maps, backbone(data), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-3)


def test_a_fusion_encoder_has_the_parts_of_both_and_a_sparse_unet_none(tmp_path, capsys):
    config = fusion_model_config()["encoder"]
    checkpoint = exported(MODELS.build(config), config, tmp_path)
    names = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert {name.split(".")[0] for name in names} == {"img_backbone", "img_neck", "pts_middle_encoder"}
    # Of one residual block a stage, and the strided convolution after it.
    assert "pts_middle_encoder.encoder_layers.encoder_layer1.1.0.weight" in names
    assert "left out: camera.input_proj, a convolution after the neck" in capsys.readouterr().out
    config = lidar_model_config(unet_encoder_config())["encoder"]
    export_encoder(MODELS.build(config), tmp_path / "encoder.safetensors", config, model_config()["data_preprocessor"])
    tool = load_tool(REPOSITORY, "export_to_mmdet3d")
    assert tool.main([str(tmp_path / "encoder.safetensors"), str(tmp_path / "other.pth")]) == 2
    assert "no part of its LidarEncoder is one of mmdet3d's" in capsys.readouterr().err
    assert not (tmp_path / "other.pth").exists()


ALONE = """
import sys
import torch
import mmdet3d.models
from mmdet3d.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

path, checkpoint = sys.argv[1:]
init_default_scope("mmdet3d")
config = Config.fromfile(path)
config.merge_from_dict({"model.backbone.depth": 50, "model.neck.out_channels": 8, "model.bbox_head.in_channels": 8})
for part in (config.model.backbone, config.model.neck):
    part.init_cfg.checkpoint = checkpoint
model = MODELS.build(config.model)
model.init_weights()
weights = torch.load(checkpoint, weights_only=True)["state_dict"]
own = model.backbone.state_dict()
print(sum(torch.equal(value, weights[f"img_backbone.{name}"]) for name, value in own.items()), len(own))
assert not [name for name in sys.modules if name.startswith("ponderv2")]
"""


@pytest.mark.slow
def test_a_process_without_this_package_loads_it(tmp_path):
    checkpoint = exported(MODELS.build(camera_config()), camera_config(), tmp_path)
    arguments = [sys.executable, "-c", ALONE, str(INTEROP / "fcos3d_r101_nuscenes.py"), str(checkpoint)]
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(arguments, cwd=tmp_path, env=outside, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-2:] == ["318", "318"]
