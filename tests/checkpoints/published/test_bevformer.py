"""Weights of a published BEVFormer fit the recipes here, and compute what the published modules do."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from ponderv2.checkpoints import load_weights, stock_weights
from ponderv2.checkpoints.published import (
    CLASSES,
    PUBLISHED_CLASSES,
    convert_bevformer,
    read_published,
    recipe_of,
)
from ponderv2.checkpoints.published.bevformer import split_planes
from ponderv2.checkpoints.published.bevformer_names import rename
from ponderv2.engine import load_config, parse_options
from ponderv2.engine.convert import convert, model_shapes
from ponderv2.errors import UserError
from ponderv2.heads import UVTRHead
from ponderv2.lifting import DeformableLift
from ponderv2.registry import MODELS
from ponderv2.structures import CameraRig, FeatureVolume, PastVolume, VoxelGrid
from tests.factories import published_bevformer as published
from tests.factories.camera_ring import ring
from tests.factories.image_backbones import DEPTHS, RESNET, build
from tests.factories.published_layout import random_weights
from tests.factories.tool_scripts import load_tool

CONFIGS = Path(__file__).parents[3] / "configs"
RANGE = (-16.0, -12.0, -5.0, 16.0, 12.0, 3.0)
GRID = VoxelGrid(RANGE, (6, 5, 1))
HEIGHTS = (1 / 16, 17 / 48, 31 / 48, 15 / 16)
SHAPES = published.transformer(16, (5, 6), 2, (2, 2), 9, 24)


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return random_weights(SHAPES)


def parts(weights: dict[str, torch.Tensor], module: torch.nn.Module, part: str) -> None:
    """Load a part of converted weights into a module; the part has all of it."""
    own = {f"{part}.{name}": value for name, value in module.state_dict().items()}
    given = {name: value for name, value in weights.items() if (rename(name) or "").startswith(f"{part}.")}
    found = convert_bevformer(given, own, "file").weights
    module.load_state_dict({name.removeprefix(f"{part}."): value for name, value in found.items()})


@pytest.mark.parametrize(("can_bus", "history"), [(False, False), (True, False), (True, True)])
@torch.no_grad()
def test_the_lift_reads_what_the_published_encoder_reads(weights, can_bus, history):
    more = dict(num_layers=2, num_levels=2, num_cameras=6, ffn_channels=24, dropout=0.0, can_bus=can_bus)
    more |= dict(history=history, missing_history="current" if history else "left_out")
    lift = DeformableLift(16, GRID.size, HEIGHTS, **more).eval()
    parts(weights, lift, "encoder.lift")
    # No reference point is within half a pixel of an edge, where the published code counts from the pixels' edges.
    rig = ring(size=(96, 160), center=(0.37, -0.23, 0.6))
    fields = {k: getattr(rig, k)[None] for k in vars(rig) if k != "padded_size"}
    rig = CameraRig(**fields, padded_size=rig.padded_size)
    maps = [torch.randn(1, 6, 16, 12, 20), torch.randn(1, 6, 16, 6, 10)]
    signals = torch.randn(1, 18) if can_bus else None
    before = torch.randn(1, 16, *GRID.shape)
    past = PastVolume(FeatureVolume(before, GRID), torch.tensor([True])) if history else None
    actual = lift(maps, None, (8, 16), rig, GRID, (4.0, 8.0), past, signals)
    given = (weights, [m[0] for m in maps], rig.lidar2img[0].float(), (96, 160), RANGE, (5, 6))
    expected = published.lift(*given, signals[0] if can_bus else None, before[0].flatten(1).T if history else None)
    torch.testing.assert_close(actual[0].flatten(1).T, expected, rtol=1e-4, atol=1e-4)
    # What the cameras see has a say, and so have the signals.
    other = lift([m * 2 for m in maps], None, (8, 16), rig, GRID, (4.0, 8.0), past, signals)
    assert (other - actual).abs().max() > 0.1
    assert not can_bus or (published.lift(*given) - expected).abs().max() > 0.1


@torch.no_grad()
def test_the_head_predicts_the_published_classes_and_boxes_in_the_code_of_today(weights):
    head = UVTRHead(
        in_channels=16, num_classes=10, num_queries=9, num_layers=2, ffn_channels=24, cross_attention="deformable"
    ).eval()
    parts(weights, head, "head")
    volume = torch.randn(1, 16, *GRID.shape)
    actual = head(FeatureVolume(volume, GRID))
    logits, codes = published.decoder(weights, volume[0].flatten(1).T, (5, 6), RANGE)
    order = [PUBLISHED_CLASSES.index(name) for name in CLASSES]
    torch.testing.assert_close(actual.logits[:, 0], logits[..., order], rtol=1e-4, atol=1e-4)
    x, y, log_w, log_l, z, log_h, sine, cosine, vx, vy = codes.unbind(dim=-1)
    expected = torch.stack([x, y, log_l, log_w, z, log_h, -cosine, -sine, vx, vy], dim=-1)
    torch.testing.assert_close(actual.codes[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_names_of_the_backbone_are_those_of_the_export_the_other_way_round():
    backbone = build("resnet")
    given = {f"img_backbone.{name}": value for name, value in backbone.state_dict().items()}
    stock = stock_weights(given, {"type": "CameraEncoder", "img_backbone": {"type": "PonderResNet"}}).weights
    assert {rename(name) for name in stock} == {f"encoder.{name}" for name in given}
    assert stock.keys() == published.resnet(8, DEPTHS, RESNET).keys()


def test_layers_of_both_planes_are_taken_apart_head_by_head():
    """Rows are [head, plane, point, axis], the earlier plane first; so are the columns, before those of the query."""
    rows = torch.arange(8 * 2 * 4 * 2.0)[:, None]
    weight = torch.cat([rows.expand(-1, 3), rows.expand(-1, 3) + 0.5], dim=1)
    found = split_planes(
        {"a.both_planes.sampling_offsets.weight": weight, "a.both_planes.sampling_offsets.bias": rows[:, 0]}
    )
    current = rows.view(8, 2, 8)[:, 1].flatten()
    assert torch.equal(found["a.sampling_offsets.weight"], (current + 0.5)[:, None].expand(-1, 3))
    assert torch.equal(found["a.offsets_from_history.weight"], current[:, None].expand(-1, 3))
    assert torch.equal(found["a.sampling_offsets.bias"], current)
    earlier = rows.view(8, 2, 8)[:, 0].flatten()
    assert torch.equal(found["a.history_offsets.bias"], earlier)
    assert torch.equal(found["a.history_offsets.weight"][:, 3], earlier + 0.5)


SIZES = {"tiny": published.tiny, "base": lambda: published.base(deformable=False)}


@pytest.mark.parametrize("size", SIZES)
def test_published_weights_fit_the_recipe_and_what_is_left_out_is_named(size):
    given = {name: torch.empty(shape, device="meta") for name, shape in SIZES[size]().items()}
    recipe, settings = recipe_of(f"bevformer-{size}")
    own = model_shapes(CONFIGS / recipe, settings)
    found = convert_bevformer(given, own, size)
    assert {k: v.shape for k, v in found.weights.items()} == {k: v.shape for k, v in own.items()}
    signals = {name for name in given if ".can_bus_mlp." in name}
    history = {name for name in given if "encoder" in name and "attentions.0.sampling_offsets" in name}
    history |= {name for name in given if "encoder" in name and "attentions.0.attention_weights" in name}
    assert set(found.unused) == signals | history | {"pts_bbox_head.code_weights"}
    assert len(found.unused[min(history)]) > 10
    assert torch.equal(found.weights["encoder.input_proj.weight"][:, :, 0, 0].cpu(), torch.eye(256))
    # The map's cells are centered where the published code has them: pixels counted from the edge.
    strides = load_config(CONFIGS / recipe).model.encoder.neck_strides
    assert settings == {"model.encoder.neck_offsets": tuple(stride / 2 for stride in strides)}
    with torch.device("meta"):
        encoder = MODELS.build(load_config(CONFIGS / recipe, options=dict(settings)).model).encoder
    assert encoder.neck_offsets == settings["model.encoder.neck_offsets"]


def test_deformable_convolutions_are_one_clear_error(tmp_path):
    names = published.base()
    given = {name: torch.empty(shape, device="meta") for name, shape in names.items()}
    with pytest.raises(
        UserError, match=r"^base: 52 weights are of deformable convolutions, the first img_backbone\.layer3"
    ):
        convert_bevformer(given, given, "base")


def test_a_size_that_is_another_one_is_refused_and_so_is_a_detector_of_others(tmp_path, weights):
    small = published.resnet(8, DEPTHS, RESNET) | published.fpn((40,), 16) | SHAPES
    torch.save({"meta": {}, "state_dict": random_weights(small)}, tmp_path / "other.pth")
    with pytest.raises(
        UserError, match=r"other\.pth does not fit the model, .*bevformer_static_tiny_r50.*--config names"
    ):
        convert(tmp_path / "other.pth", tmp_path / "out.pth", "bevformer-tiny", CONFIGS)
    assert not (tmp_path / "out.pth").exists()
    with pytest.raises(UserError, match=r"--from unipad-camera expects no pts_bbox_head\.bev_embedding\.weight"):
        read_published(tmp_path / "other.pth", "unipad-camera")
    torch.save({"state_dict": {"img_backbone.conv1.weight": torch.ones(1)}}, tmp_path / "uvtr.pth")
    with pytest.raises(UserError, match=r"--from bevformer-base expects pts_bbox_head\.bev_embedding\.weight"):
        read_published(tmp_path / "uvtr.pth", "bevformer-base")


SMALL = (
    "model.init_cfg=None",
    "model.encoder.grid.size=(6,5,1)",
    "model.encoder.channels=16",
    f"model.encoder.img_backbone.depths={DEPTHS}",
    f"model.encoder.img_backbone.channels={RESNET}",
    "model.encoder.img_backbone.stem_channels=8",
    "model.encoder.img_neck.in_channels=[40]",
    "model.encoder.img_neck.out_channels=16",
    "model.encoder.lift.channels=16",
    "model.encoder.lift.size=(6,5,1)",
    "model.encoder.lift.num_layers=2",
    "model.encoder.lift.ffn_channels=24",
    "model.head.in_channels=16",
    "model.head.num_queries=9",
    "model.head.num_layers=2",
    "model.head.ffn_channels=24",
)
"""BEVFormer-tiny's recipe at the size of a published detector of the tests."""


RECIPES = {"static": recipe_of("bevformer-tiny")[0], "temporal": "detection/bevformer_tiny_r50_8xb1_24e_nuscenes.py"}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_tool_writes_a_checkpoint_of_the_recipe_and_says_what_it_leaves_out(recipe, tmp_path, capsys):
    shapes = published.resnet(8, DEPTHS, RESNET) | published.fpn((40,), 16)
    shapes |= published.transformer(16, (5, 6), 1, (2, 2), 9, 24)
    torch.save({"state_dict": random_weights(shapes)}, tmp_path / "published.pth")
    options = [option.replace(" ", "") for option in SMALL]
    static, recipe = "static" in str(recipe), CONFIGS / recipe
    arguments = [tmp_path / "published.pth", tmp_path / "out.pth", "--from", "bevformer-tiny", "--config", recipe]
    tool = load_tool(CONFIGS.parent, "convert_checkpoint")
    assert tool.main([str(argument) for argument in [*arguments, "--cfg-options", *options]]) == 0
    shown = capsys.readouterr().out
    left_out = "not needed: pts_bbox_head.transformer.can_bus_mlp.0.weight and 5 more, of the car's signals" in shown
    assert left_out == static
    assert ("of the volume of the frame before, which the recipe's model does not read" in shown) == static
    assert "model.encoder.neck_offsets=" in shown
    model = MODELS.build(load_config(recipe, options=parse_options(options)).model)
    load_weights(model, tmp_path / "out.pth")
    kept = torch.load(tmp_path / "out.pth", weights_only=True)["meta"]["options"]
    assert "model.encoder.neck_offsets=(16.0,)" in kept
    # Where there is no frame before, the published code reads the current one twice.
    assert ("model.encoder.lift.missing_history=current" in kept) != static


def test_the_docs_give_each_recipe_the_settings_that_its_weights_need():
    text = (CONFIGS.parent / "docs" / "model_zoo.md").read_text()
    commands = [
        shlex.split(line)
        for block in re.findall(r"```bash\n(.*?)```", text.partition("**BEVFormer.**")[2], flags=re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
    ]
    given = {
        next(word for word in words if word.startswith("configs/")): words[words.index("--cfg-options") + 1 :]
        for words in commands
        if "--cfg-options" in words
    }
    assert sorted(given) == sorted(f"configs/{recipe}" for recipe in RECIPES.values())
    for recipe, options in given.items():
        encoder = load_config(CONFIGS.parent / recipe, options=parse_options(options)).model.encoder
        assert encoder.neck_offsets == (16.0,)
        assert encoder.lift.get("missing_history") == (None if "static" in recipe else "current")
