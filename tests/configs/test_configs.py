"""Every recipe can be read in one sitting, loads, builds, and survives being written out and read again."""

import ast
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import nn

from ponderv2.engine import PrecisionOptimWrapper, load_config, resolved_recipe
from ponderv2.registry import MODELS
from ponderv2.teachers import RandomTeacher

CONFIGS = Path(__file__).parents[2] / "configs"
# Those of `interop` are mmdet3d's own, which its tools run: tests/checkpoints/test_stock_weights.py.
RECIPES = sorted(p for p in CONFIGS.rglob("*.py") if p.relative_to(CONFIGS).parts[0] not in ("_base_", "interop"))
DETECTORS = [p for p in RECIPES if p.stem.startswith(("uvtr_", "center_"))]
SEGMENTORS = [p for p in RECIPES if p.stem.startswith("lidarseg_")]
# They start from the image backbone of a pre-training, or from image weights.
BEVFORMERS = [p for p in RECIPES if p.stem.startswith("bevformer_")]
PRETRAINING = [p for p in RECIPES if p.stem.startswith("ponderv2_")]


def _load(path: Path, scratch: bool = False) -> Config:
    return load_config(path, scratch=scratch)


def _build(config: dict) -> nn.Module:
    """A model without memory for its weights: full-size ones need no time that way. Teachers come from files."""
    if "image_branch" in config:
        teacher = dict(type=RandomTeacher, channels=config["image_branch"]["channels"])
        config = dict(config, image_branch=dict(config["image_branch"], teacher=teacher, cache=None))
    with torch.device("meta"):
        return MODELS.build(config)


def test_every_recipe_is_one_of_pre_training_detection_or_segmentation():
    assert set(DETECTORS) | set(BEVFORMERS) | set(SEGMENTORS) | set(PRETRAINING) == set(RECIPES)
    assert len([p for p in SEGMENTORS if p.parent.name == "segmentation"]) >= 9
    assert len([p for p in PRETRAINING if p.parent.name == "pretrain"]) >= 6
    assert len([p for p in DETECTORS if p.parent.name == "detection"]) >= 9
    assert len([p for p in RECIPES if p.parent.name == "tiny"]) >= 10


def _bases(path: Path) -> list[Path]:
    """The files that a recipe imports between `with read_base():`."""
    blocks = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.With)]
    imports = [node for block in blocks for node in block.body]
    folders = [path.parents[node.level - 1].joinpath(*node.module.split(".")) for node in imports]
    return sorted({folder.with_suffix(".py") for folder in folders})


def _behind(path: Path) -> set[Path]:
    """All files that a recipe is made of, but for itself."""
    return {file for base in _bases(path) for file in {base, *_behind(base)}}


def _layers(path: Path) -> int:
    return 1 + max((_layers(base) for base in _bases(path)), default=0)


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_has_at_most_six_files_in_three_layers_behind_it(path):
    assert all(base.is_file() for base in _behind(path))
    assert len(_behind(path)) <= 6
    assert _layers(path) <= 3


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_says_what_it_is_in_its_first_lines_and_fits_two_screens(path):
    assert path.read_text().startswith('"""')
    assert len(path.read_text().splitlines()) <= 100


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.py")), ids=lambda p: p.stem)
def test_recipe_changes_nothing_in_place_and_addresses_no_step_by_its_position(path):
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Delete | ast.For), f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in ("update", "pop", "append", "insert"), f"line {node.lineno}"
        # On imported parts `|` would merge nested dictionaries, on others replace them; dict(part, key=value) replaces.
        assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)), f"line {node.lineno}"
        if isinstance(node, ast.Subscript):
            assert not isinstance(node.slice, ast.Constant | ast.Slice), f"line {node.lineno}"
        if isinstance(node, ast.Assign):
            # Whatever is set inside an imported value would be seen by every other reader of it.
            assert all(isinstance(target, ast.Name) for target in node.targets), f"line {node.lineno}"


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_no_import_of_a_recipe_depends_on_its_order(path):
    (block,) = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.With)]
    names = [alias.name for node in block.body for alias in node.names]
    assert len(names) == len(set(names))
    assert names.count("*") <= 1


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_itself_sets_rate_length_batch_data_and_checkpoint(path):
    text = path.read_text()
    # A variant stands on the recipe that it is made from.
    text += "".join(base.read_text() for base in _bases(path) if "_base_" not in base.parts)
    for setting in ("lr=", "max_epochs =" if "nuscenes" in path.stem else "max_iters =", "ann_file=", "pipeline=["):
        assert setting in text or (setting == "ann_file=" and "keyframe_dataset" in text), setting
    if path in DETECTORS + SEGMENTORS:
        assert "checkpoint=" in text
    if "nuscenes" in path.stem:
        assert "batch_size=" in text


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_builds_with_an_optimiser_whose_keys_all_match(path):
    config = _load(path)
    model = _build(config.model)
    build_optim_wrapper(model, config.optim_wrapper)
    names = [name for name, _ in model.named_parameters()]
    for key in config.optim_wrapper.get("paramwise_cfg", {}).get("custom_keys", {}):
        assert any(key in name for name in names), f"{key} matches no parameter"


def _is_variant(path: Path) -> bool:
    """Whether a recipe stands on another one, which is written out as itself."""
    return any("_base_" not in base.parts for base in _bases(path))


WRITTEN = [pytest.param(p, marks=pytest.mark.slow if _is_variant(p) else (), id=p.stem) for p in RECIPES]


@pytest.mark.parametrize("path", WRITTEN)
def test_recipe_survives_writing_and_reading(path, tmp_path):
    config = _load(path)
    for kind, written in (("whole", config), ("resolved", resolved_recipe(config))):
        written.dump(tmp_path / f"{kind}.py")
        again = Config.fromfile(str(tmp_path / f"{kind}.py"))
        assert _build(again.model).state_dict().keys() == _build(config.model).state_dict().keys()
        assert again.param_scheduler == config.param_scheduler or kind == "whole"


@pytest.mark.parametrize("path", PRETRAINING, ids=lambda p: p.stem)
def test_training_never_sees_a_held_out_ray_and_evaluation_only_those_or_other_frames(path):
    config = _load(path)
    splits = {}
    for part in ("train", "val", "test"):
        pipeline = config[f"{part}_dataloader"].dataset.pipeline
        (rays,) = [step for step in pipeline if step["type"].__name__ in ("SampleCameraRays", "SampleLidarRays")]
        splits[part] = rays.get("split", "train")
    same_data = config.train_dataloader.dataset.ann_file == config.test_dataloader.dataset.ann_file
    assert splits["train"] == "train"
    assert splits["test"] == ("heldout" if same_data else "all")


def _encoder_shapes(config: Config, prefix: str = "") -> dict[str, torch.Size]:
    return {prefix + name: value.shape for name, value in _build(config.model.encoder).state_dict().items()}


def _head_shapes(config: Config) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in _build(config.model.head).state_dict().items()}


def _merged_detectors(path: Path) -> tuple[Path, Path]:
    """The camera and the LiDAR detector that a fusion detector is merged from."""
    folder = CONFIGS / "detection"
    if "fifth" in path.stem:
        return (
            folder / "uvtr_camera_convnext_s_vs0p075_4xb1_12e_nuscenes_fifth.py",
            folder / "uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes_fifth.py",
        )
    test = "_test" if path.stem.endswith("_test") else ""
    return (
        folder / f"uvtr_camera_convnext_s_vs0p075_4xb1_24e_nuscenes{test}.py",
        folder / f"uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes{test}.py",
    )


def _start_of(config: Config, path: Path, scratch: bool) -> dict[str, torch.Size]:
    """Shapes by name of what `init_cfg` loads: of the pre-training it names, or of the merged detectors."""
    source = Path(config.model.init_cfg.checkpoint)
    if source.parent.name != "work_dirs":
        (recipe,) = [p for p in PRETRAINING if p.stem == source.parent.name]
        return _encoder_shapes(_load(recipe))
    camera, lidar = _merged_detectors(path)
    return _encoder_shapes(_load(camera, scratch), "camera.") | _encoder_shapes(_load(lidar, scratch), "lidar.")


@pytest.mark.parametrize("scratch", [False, True])
@pytest.mark.parametrize("path", DETECTORS, ids=lambda p: p.stem)
def test_what_a_detector_starts_from_covers_its_encoder_but_for_what_it_says_is_new(path, scratch):
    config = _load(path, scratch)
    if config.model.init_cfg is None:
        assert scratch
        return
    assert not scratch or "fusion" in path.stem
    own, start = _encoder_shapes(config), _start_of(config, path, scratch)
    new = tuple(config.model.init_cfg.get("new", ()))
    assert {k: v for k, v in own.items() if not k.startswith(new)} == start
    for part in new:
        assert any(k.startswith(part) for k in own)


@pytest.mark.parametrize("path", [p for p in BEVFORMERS if "_r50_" not in p.stem], ids=lambda p: p.stem)
def test_bevformer_starts_from_parts_of_a_pre_training_that_cover_its_own(path):
    config = _load(path)
    own, start = _encoder_shapes(config), _start_of(config, path, False)
    for part in config.model.init_cfg.parts:
        names = {k for k in (*own, *start) if k.split(".")[0] == part}
        assert names
        assert {k: own.get(k) for k in names} == {k: start.get(k) for k in names}
    assert _load(path, scratch=True).model.init_cfg is None


def test_the_tiny_temporal_bevformer_can_start_from_the_backbone_of_a_pre_training_with_history():
    config = _load(CONFIGS / "tiny/bevformer_temporal_camera_synthetic.py")
    own = _encoder_shapes(config)
    start = _encoder_shapes(_load(CONFIGS / "tiny/ponderv2_camera_bevformer_temporal_synthetic.py"))
    assert config.model.init_cfg.parts == ("img_backbone",)
    names = {name for name in own if name.startswith("img_backbone.")}
    assert names
    assert {name: own[name] for name in names} == {name: start.get(name) for name in names}
    # Of the lift it could not: sizes and layers differ.
    assert {k: v for k, v in own.items() if k.startswith("lift.")} != {
        k: v for k, v in start.items() if k.startswith("lift.")
    }


def _frames(config: Config) -> dict:
    """Which key frames a recipe trains on."""
    train = config.train_dataloader.dataset
    train = train.get("dataset", train)
    return {key: train.get(key) for key in ("ann_file", "load_interval", "fraction", "fraction_seed")}


@pytest.mark.parametrize("scratch", [False, True])
@pytest.mark.parametrize("path", [p for p in DETECTORS if "fusion_convnext" in p.stem], ids=lambda p: p.stem)
def test_a_fusion_detector_starts_with_the_head_of_a_lidar_detector_and_on_labels_of_its_own_frames(path, scratch):
    config = _load(path, scratch)
    assert config.model.init_cfg.head is True
    camera, lidar = (_load(part, scratch) for part in _merged_detectors(path))
    assert _head_shapes(lidar) == _head_shapes(config)
    assert _frames(camera) == _frames(lidar) == _frames(config)


@pytest.mark.parametrize("path", DETECTORS, ids=lambda p: p.stem)
def test_the_baseline_of_a_detector_differs_in_its_start_alone(path):
    pretrained, baseline = load_config(path), load_config(path, scratch=True)
    assert pretrained.model.init_cfg != baseline.model.init_cfg
    for config in (pretrained, baseline):
        config.model.init_cfg = None
        if "img_backbone" in config.model.encoder:
            config.model.encoder.img_backbone.pop("weights", None)
    for name, value in resolved_recipe(pretrained).items():
        assert str(baseline[name]) == str(value), name


def test_pre_training_starts_from_spark_and_a_camera_baseline_from_imagenet():
    for path in RECIPES:
        encoder = load_config(path).model.encoder
        backbone = encoder.get("camera", encoder).get("img_backbone")
        if path in PRETRAINING and "convnext" in path.stem:
            assert backbone.weights == "data/ckpts/convnextS_1kpretrained_official_style.pth"
        elif "camera_convnext" in path.stem:
            assert backbone.weights is None
            assert load_config(path, scratch=True).model.encoder.img_backbone.weights == "facebook/convnext-small-224"
        elif path in BEVFORMERS and path.parent.name == "detection":
            assert backbone.weights == ("microsoft/resnet-50" if "_r50_" in path.stem else None)
            started = load_config(path, scratch=True).model.encoder.img_backbone.weights
            assert started == f"microsoft/resnet-{'50' if '_r50_' in path.stem else '101'}"
        elif path in PRETRAINING and "_r101_" in path.stem:
            assert backbone.weights == "microsoft/resnet-101"
        elif backbone is not None:
            # Detectors start from checkpoints; tiny backbones are too small for anyone's weights.
            assert backbone.get("weights") is None


FULL_SIZE = [p for p in RECIPES if p.parent.name != "tiny"]
# Sparse convolutions stay in float32, so half precision gains a segmentor of voxels nothing.
IN_HALF = [p for p in FULL_SIZE if p not in SEGMENTORS]


@pytest.mark.parametrize("path", IN_HALF, ids=lambda p: p.stem)
def test_a_full_size_recipe_trains_in_half_precision_where_that_is_fast_by_itself(path):
    config = load_config(path)
    assert config.optim_wrapper.type is PrecisionOptimWrapper
    assert config.optim_wrapper.precision == "auto"
    assert config.env_cfg.tf32 is True


@pytest.mark.parametrize("path", FULL_SIZE, ids=lambda p: p.stem)
def test_pre_training_validates_on_a_fixed_part_and_a_detector_keeps_the_best(path):
    config = load_config(path)
    if path in PRETRAINING:
        part, whole = config.val_dataloader.dataset, config.test_dataloader.dataset
        assert part == dict(whole, load_interval=20)
        assert whole.get("load_interval", 1) == 1
        assert config.default_hooks.checkpoint.get("save_best") is None
        return
    keeps = config.default_hooks.checkpoint
    best = "lidarseg/mIoU" if path in SEGMENTORS else "nuscenes/NDS"
    assert (keeps.save_best, keeps.rule) == (best, "greater")
    assert (config.val_dataloader is None) == path.stem.endswith("_test")


def test_the_convolutions_after_the_volume_have_the_norms_of_their_published_neighbours():
    """Those of the LiDAR neck ("extra_conv") have eps 1e-3 and momentum 0.01, the others torch's own."""
    path = CONFIGS / "detection" / "uvtr_fusion_convnext_s_vs0p075_4xb2_20e_nuscenes.py"
    encoder = _build(load_config(path).model.encoder)
    found = {
        name: {(conv.bn.eps, conv.bn.momentum) for conv in convs}
        for name, convs in (("lidar", encoder.lidar.convs), ("camera", encoder.camera.convs), ("fuse", encoder.fuse))
    }
    assert found == {"lidar": {(1e-3, 0.01)}, "camera": {(1e-5, 0.1)}, "fuse": {(1e-5, 0.1)}}


def test_scratch_of_a_recipe_without_a_baseline_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=f"{PRETRAINING[0].stem}.*names no baseline"):
        load_config(PRETRAINING[0], scratch=True)


@pytest.mark.parametrize("path", [p for p in DETECTORS if p.stem.startswith("center_")], ids=lambda p: p.stem)
def test_a_center_head_lies_on_the_grid_of_its_encoder(path):
    config = _load(path)
    assert config.model.head.grid == config.model.encoder.grid


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_deformable_lift_has_a_query_for_each_cell_and_an_embedding_for_each_map(path):
    encoder = _load(path).model.encoder
    encoder = encoder.get("camera", encoder)
    if "size" not in encoder.get("lift", {}):
        return
    assert encoder.lift.size == encoder.grid.size
    assert encoder.lift.get("num_levels", 4) == len(encoder.neck_strides)
    assert encoder.lift.channels == encoder.channels


@pytest.mark.parametrize("path", DETECTORS + BEVFORMERS, ids=lambda p: p.stem)
def test_a_detector_drops_boxes_outside_its_volume_and_is_scored_on_other_frames(path):
    config = _load(path)
    encoder = config.model.encoder
    grid = encoder.get("camera", encoder).grid
    train = config.train_dataloader.dataset
    train = train.get("dataset", train)
    ranges = [step.point_cloud_range for step in train.pipeline if "point_cloud_range" in step]
    assert ranges == [grid.point_cloud_range]
    test = config.test_dataloader.dataset
    assert test.ann_file not in train.ann_file
    assert config.test_evaluator.ann_file == test.ann_file
    assert test.get("load_interval", 1) == 1
