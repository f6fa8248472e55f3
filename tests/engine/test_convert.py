"""A published LiDAR detector that the tool has converted finds the published one's boxes on synthetic streets."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from ponderv2.checkpoints import load_weights
from ponderv2.checkpoints.published import CLASSES, KINDS, PUBLISHED_CLASSES
from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.engine import load_config
from ponderv2.engine.convert import convert
from ponderv2.engine.recipe_options import parse_options
from ponderv2.errors import UserError
from ponderv2.registry import DATASETS, MODELS
from tests.factories import published_detection_head as published_head
from tests.factories import published_lidar_modules as published_lidar
from tests.factories.published_detectors import small_lidar
from tests.factories.published_layout import random_weights
from tests.factories.tool_scripts import load_tool

RECIPE = Path(__file__).parents[2] / "configs" / "tiny" / "uvtr_lidar_synthetic.py"
RANGE = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
VOXEL = (0.675, 0.675, 0.25)
OPTIONS = [
    "model.init_cfg=None",
    "model.encoder.grid.size=(20,20,4)",
    "model.encoder.voxel_size=(0.675,0.675,0.25)",
    "model.encoder.feature_scale=(1.0,1.0,1.0,1.0,1.0)",
    "model.encoder.channels=16",
    "model.encoder.num_convs=2",
    "model.encoder.norm_cfg.type=BN3d",
    "model.encoder.norm_cfg.eps=1e-3",
    "model.encoder.pts_middle_encoder.in_channels=5",
    "model.encoder.pts_middle_encoder.stage_channels=(4,6,8,10)",
    "model.encoder.pts_middle_encoder.blocks=2",
    "model.encoder.pts_middle_encoder.channels=12",
    "model.encoder.pts_middle_encoder.norm_cfg=None",
    "model.encoder.pts_backbone.in_channels=12",
    "model.encoder.pts_backbone.channels=(8,10,12)",
    "model.encoder.pts_backbone.norm_cfg=None",
    "model.encoder.pts_neck.in_channels=(8,10,12)",
    "model.encoder.pts_neck.channels=16",
    "model.encoder.pts_neck.norm_cfg=None",
    "model.head.in_channels=16",
    "model.head.channels=16",
    "model.head.num_queries=25",
    "model.head.num_layers=2",
    "model.head.ffn_channels=24",
    "model.head.volume_norm=False",
    "model.head.query_init=reference",
    "model.head.iou_weight=0.5",
    "model.head.decoding.use_iou=True",
]
"""The tiny recipe's detector with the layers of the published one, at the sizes of `small_lidar`."""


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    weights = random_weights(small_lidar())
    # Metres and intensities up to 255 go in: running statistics that fit them, as those of a trained model do.
    weights["pts_middle_encoder.conv_input.1.running_var"] *= 1e4
    # Sizes of metres, not of hundreds.
    last = [name for name in weights if "reg_branches" in name and ".4." in name]
    return weights | {name: weights[name] * 0.3 for name in last}


@pytest.fixture(scope="module")
def converted(published, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    torch.save({"meta": {"epoch": 20, "CLASSES": PUBLISHED_CLASSES}, "state_dict": published}, folder / "published.pth")
    out = folder / "deep" / "converted.pth"
    tool = load_tool(RECIPE.parents[2], "convert_checkpoint")
    arguments = [folder / "published.pth", out, "--from", "unipad-lidar", "--config", RECIPE, "--cfg-options", *OPTIONS]
    assert tool.main([str(argument) for argument in arguments]) == 0
    assert [path.name for path in out.parent.iterdir()] == ["converted.pth"]
    return out


@torch.no_grad()
def test_the_boxes_are_those_of_the_published_detector(published, converted, streets):
    config = load_config(RECIPE, streets, parse_options(OPTIONS))
    model = MODELS.build(config.model).eval()
    load_weights(model, converted)
    dataset = DATASETS.build(config.test_dataloader.dataset)
    assert len(dataset) == 2
    seen = []
    for frame in range(2):
        (sample,) = model.test_step(pseudo_collate([dataset[frame]]))
        found = sample.pred_instances_3d
        path = dataset.get_data_info(frame)["lidar_points"]["lidar_path"]
        boxes, scores, labels = published_boxes(published, path)
        labels = torch.tensor([CLASSES.index(PUBLISHED_CLASSES[k]) for k in labels])
        actual = torch.cat([found.bboxes_3d.gravity_center, found.bboxes_3d.tensor[:, 3:]], dim=1)
        actual = rows_of(actual, found.scores_3d, found.labels_3d)
        expected = rows_of(published_head.modern(boxes), scores, labels)
        # Boxes with equal scores, as those with a predicted overlap of 0, come in any order.
        nearest = torch.cdist(actual, expected).argmin(dim=0)
        assert len(expected) == len(actual) == len(nearest.unique()) > 50
        torch.testing.assert_close(actual[nearest], expected, rtol=1e-4, atol=1e-4)
        seen.append(expected)
    assert seen[0].shape != seen[1].shape or (seen[0] - seen[1]).abs().max() > 0.1


def rows_of(boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Boxes as rows of numbers: the yaw as sine and cosine, score and label at the end."""
    yaw = boxes[:, 6:7]
    return torch.cat([boxes[:, :6], yaw.sin(), yaw.cos(), boxes[:, 7:], scores[:, None], labels[:, None]], dim=1)


def published_boxes(weights: dict[str, torch.Tensor], path: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Boxes of the published detector, from the bytes of one sweep."""
    points = torch.from_numpy(np.fromfile(path, dtype=np.float32).reshape(-1, 5).copy())
    points[:, 4] = 0  # the time lag of the key frame, where the file has the ring
    voxels, occupied = published_lidar.voxel_means(points, RANGE, VOXEL)
    volume = published_lidar.second(weights, published_lidar.sparse_encoder(weights, voxels[None], occupied[None]))
    logits, codes, overlaps = published_head.decoder(weights, volume, RANGE, heads=8)
    return published_head.decode(logits[-1, 0], codes[-1, 0], overlaps[-1, 0])


def test_the_result_says_what_it_is_made_of_and_what_it_fits(published, converted):
    checkpoint = load_checkpoint_file(converted)
    assert checkpoint["meta"]["source"] == "published.pth"
    assert checkpoint["meta"]["kind"] == "unipad-lidar"
    assert checkpoint["meta"]["recipe"] == "uvtr_lidar_synthetic.py"
    assert "model.head.query_init=reference" in checkpoint["meta"]["options"]
    assert len(checkpoint["meta"]["sha256"]) == 64


def test_the_tool_says_which_weights_went_where_and_how_to_test(published, converted, tmp_path, capsys):
    arguments = [
        converted.parents[1] / "published.pth",
        tmp_path / "out.pth",
        "--from",
        "unipad-lidar",
        "--config",
        RECIPE,
    ]
    tool = load_tool(RECIPE.parents[2], "convert_checkpoint")
    assert tool.main([str(argument) for argument in [*arguments, "--cfg-options", *OPTIONS]]) == 0
    shown = capsys.readouterr().out
    for part in ("encoder.pts_middle_encoder", "encoder.convs", "head.decoder", "head.queries"):
        assert part in shown
    assert "not needed: pts_bbox_head.code_weights, factors of the loss" in shown
    # From the folder where the tool was started.
    assert "configs/tiny/uvtr_lidar_synthetic.py --cfg-options model.init_cfg=None" in shown


def test_the_tool_knows_every_kind():
    assert tuple(KINDS) == load_tool(RECIPE.parents[2], "convert_checkpoint").KINDS


def test_a_recipe_of_another_model_is_refused_and_nothing_is_written(converted, tmp_path):
    source = converted.parents[1] / "published.pth"
    with pytest.raises(UserError, match=r"published\.pth does not fit the model, weights are .* missing: "):
        convert(source, tmp_path / "deep" / "out.pth", "unipad-lidar", RECIPE.parents[1])
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_does_not_fit_names_the_recipe_it_was_taken_for(published, tmp_path):
    headless = {name: value for name, value in published.items() if not name.startswith("pts_bbox_head.")}
    torch.save({"meta": {}, "state_dict": headless}, tmp_path / "headless.pth")
    taken = r"taken for .*uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes\.py, --config names another recipe"
    with pytest.raises(UserError, match=taken):
        convert(tmp_path / "headless.pth", tmp_path / "out.pth", "unipad-lidar", RECIPE.parents[1])


def test_weights_of_unipad_are_not_taken_for_those_of_uvtr(converted, tmp_path):
    source = converted.parents[1] / "published.pth"
    with pytest.raises(
        UserError, match=r"--from uvtr-lidar does not fit, pts_bbox_head\.reference_points.*unipad-lidar"
    ):
        convert(source, tmp_path / "out.pth", "uvtr-lidar", RECIPE.parents[1])
