"""Published state dicts fit the recipes: nothing missing, nothing left over; and errors name the first keys."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ponderv2.checkpoints.published import convert_published, fitting_recipe
from ponderv2.checkpoints.published.published_layouts import change_layouts, join_conditions
from ponderv2.checkpoints.published.published_names import rename
from ponderv2.engine import load_config
from ponderv2.engine.convert import model_shapes
from ponderv2.errors import UserError
from ponderv2.registry import MODELS as REGISTRY
from tests.factories.published_detectors import PRETRAINED, PUBLISHED, small_lidar, uvtr_lidar
from tests.factories.published_layout import random_weights

CONFIGS = Path(__file__).parents[3] / "configs"
MODELS = {**PUBLISHED, **PRETRAINED, "UVTR's LiDAR detector": uvtr_lidar}
RECIPES = {
    "uvtr_camera_vs0.1_ablation": "uvtr_camera_convnext_s_vs0p1_4xb1_12e_nuscenes_half",
    "uvtr_camera_vs0.075": "uvtr_camera_convnext_s_vs0p075_4xb1_24e_nuscenes",
    "uvtr_lidar_vs0.075": "uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes",
    "uvtr_fusion_vs0.075": "uvtr_fusion_convnext_s_vs0p075_4xb2_20e_nuscenes",
    "camera, pull": "ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes",
    "camera, splat": "ponderv2_camera_convnext_s_splat_vs0p075_4xb1_12e_nuscenes",
    "lidar": "ponderv2_lidar_voxelnet_vs0p075_4xb4_12e_nuscenes",
    "UVTR's LiDAR detector": "uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes",
}
KEY = "pts_neck.deblocks.1.0.weight"


def without_memory(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def lidar() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Published weights of a small LiDAR detector, and those of the model that they fit."""
    published = random_weights(small_lidar(denoising=False))
    named = {rename(name, fusion=False): value for name, value in published.items()}
    return published, change_layouts({name: value for name, value in named.items() if name is not None})


@pytest.mark.parametrize("model", MODELS)
def test_published_weights_fit_their_recipe(model):
    published = without_memory(MODELS[model]())
    fit = fitting_recipe(published)
    assert Path(fit.recipe).stem == RECIPES[model]
    own = model_shapes(CONFIGS / fit.recipe, fit.placement | fit.head)
    found = convert_published(published, own, model)
    assert {k: v.shape for k, v in found.weights.items()} == {k: v.shape for k, v in own.items()}
    expected = {"pts_bbox_head.code_weights"} if model not in PRETRAINED else set()
    if "lidar" not in model.lower():
        expected |= {name for name in published if "norm0" in name}
    expected |= {name for name in published if "laplace_density" in name}
    if model == "lidar":
        expected |= {name for name in published if "rgb_decoder" in name}
    assert set(found.unused) == expected


def test_the_docs_name_the_recipes_and_the_settings_that_published_weights_need():
    text = (CONFIGS.parent / "docs" / "model_zoo.md").read_text()
    section = text.partition("## Published weights")[2].partition("\n## ")[0]
    for model, shapes in MODELS.items():
        assert RECIPES[model] in text
        for key in fitting_recipe(without_memory(shapes())).placement:
            assert key in section


# The fusion detector has the parts of all detectors but the ablation's.
@pytest.mark.parametrize("model", ["uvtr_fusion_vs0.075", "uvtr_camera_vs0.1_ablation", "lidar"])
def test_norms_of_the_recipe_have_the_epsilon_of_the_published_ones(model):
    config = load_config(CONFIGS / fitting_recipe(without_memory(MODELS[model]())).recipe)
    with torch.device("meta"):
        modules = dict(REGISTRY.build(config.model).named_modules())
    norms = {name: module for name, module in modules.items() if isinstance(module, _BatchNorm)}
    lidar = "encoder." if "lidar" in model.lower() else "encoder.lidar."
    for name, norm in norms.items():
        of_lidar = name.startswith(lidar)
        assert norm.eps == (1e-3 if of_lidar else 1e-5), name
    assert norms
    backbone = [m for name, m in modules.items() if "img_backbone" in name and isinstance(m, nn.LayerNorm)]
    assert {norm.eps for norm in backbone} <= {1e-6}


def test_a_missing_key_is_named(lidar):
    published, own = lidar
    with pytest.raises(
        UserError, match=r"^file does not fit the model, weights are 1 missing: encoder\.pts_neck\.later"
    ):
        convert_published({k: v for k, v in published.items() if k != KEY}, own, "file")


def test_keys_that_are_left_over_are_named_as_published(lidar):
    published, own = lidar
    extra = {f"pts_neck.more.{k}.weight": torch.ones(1) for k in range(5)}
    with pytest.raises(UserError, match=r"weights are 5 left over: pts_neck\.more\.0\.weight, .* and 2 more$"):
        convert_published(published | extra, own, "file")
    # A layer more than the model has.
    more = {"pts_bbox_head.cls_branches.2.0.bias": torch.ones(16)}
    with pytest.raises(UserError, match=r"1 left over: pts_bbox_head\.cls_branches\.2\.0\.bias$"):
        convert_published(published | more, own, "file")


def test_two_weights_of_one_name_are_both_named(lidar):
    published, own = lidar
    block = "pts_middle_encoder.encoder_layers.encoder_layer1"
    key = next(name for name in published if name.startswith(block) and name.endswith(".0.weight"))
    other = f"{block}.9.0.weight"
    message = (
        rf"^file: {re.escape(key)} and {re.escape(other)} of its state_dict are both encoder\.pts_middle_encoder\.down"
    )
    with pytest.raises(UserError, match=message):
        convert_published(published | {other: published[key]}, own, "file")


def test_a_layer_that_is_missing_is_not_replaced_by_one_after_it():
    joined = {f"field.condition_proj.{k}.weight": torch.ones(2, 3) for k in (0, 1)}
    assert join_conditions(joined).keys() == {"field.condition_proj.weight"}
    gap = {f"field.condition_proj.{k}.weight": torch.ones(2, 3) for k in (0, 2)}
    assert join_conditions(gap).keys() == gap.keys()


def test_another_shape_is_named(lidar):
    published, own = lidar
    # A kernel of two levels of height has no place in planes.
    changed = published | {KEY: torch.ones(10, 16, 2, 2, 2)}
    with pytest.raises(UserError, match=r"1 of another shape: .*lateral\.1\.0\.weight \(10, 16, 2, 2, 2\) instead of"):
        convert_published(changed, own, "file")
    changed = published | {"pts_bbox_head.cls_branches.0.6.bias": torch.ones(7)}
    with pytest.raises(UserError, match=r"cls_branches\.0\.6\.bias \(7,\) instead of \(10,\)"):
        convert_published(changed, own, "file")


def test_all_kinds_of_misfit_are_told_at_once(lidar):
    _, own = lidar
    published = random_weights(small_lidar(denoising=True)) | {KEY: torch.ones(10, 16, 2, 2, 2)}
    with pytest.raises(UserError, match=r"left over: .*; \d+ missing: .*; \d+ of another shape: "):
        convert_published(published, own, "file")


def test_classes_of_another_order_come_out_in_the_same_one(lidar):
    published, own = lidar
    order = ("barrier", "bicycle", "bus", "car", "construction_vehicle", "motorcycle", "pedestrian", "traffic_cone")
    order = (*order, "trailer", "truck")
    published = published | {"pts_bbox_head.cls_branches.0.6.bias": torch.arange(10.0)}
    weights = convert_published(published, own, "file", order).weights
    assert weights["head.decoder.cls_branches.0.6.bias"].tolist() == [3, 9, 8, 2, 4, 1, 5, 6, 7, 0]
