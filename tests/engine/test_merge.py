"""Merging a camera and a LiDAR encoder into the start of a fusion model."""

import re
from pathlib import Path
from unittest.mock import create_autospec

import pytest
import torch
from torch import nn

from ponderv2.checkpoints import compare, encoder_file, export_encoder, head_weights, read_encoder_weights
from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.engine import converted_options, load_config
from ponderv2.engine import merge as merge_module
from ponderv2.engine.merge import Source, merge, merge_encoders, write_merged
from ponderv2.engine.recipe_options import parse_options
from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from tests.factories.lidar_models import fusion_model_config

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def fusion():
    torch.manual_seed(0)
    return MODELS.build(fusion_model_config())


@pytest.fixture
def parts(tmp_path):
    """A camera encoder in a checkpoint of pre-training, and a LiDAR encoder as it is exported."""
    torch.manual_seed(1)
    model = fusion_model_config()
    config = model["encoder"]
    camera, lidar = MODELS.build(config["camera"]), MODELS.build(config["lidar"])
    weights = {f"encoder.{k}": v for k, v in camera.state_dict().items()} | {
        "head.render_conv.conv.bias": torch.ones(8)
    }
    torch.save({"meta": {}, "state_dict": weights}, tmp_path / "camera.pth")
    export_encoder(lidar, tmp_path / "lidar.safetensors", config["lidar"], model["data_preprocessor"])
    return tmp_path / "camera.pth", tmp_path / "lidar.safetensors", camera, lidar


def _merged(camera: Path, lidar: Path) -> dict[str, torch.Tensor]:
    return merge_encoders(Source.read(camera), Source.read(lidar))


def test_a_fusion_model_starts_with_both_encoders(fusion, parts, tmp_path, capsys):
    camera_path, lidar_path, camera, lidar = parts
    write_merged(fusion, _merged(camera_path, lidar_path), tmp_path / "deep" / "merged.pth")
    table = capsys.readouterr().out
    assert "encoder.camera" in table
    assert str(len(camera.state_dict())) in table
    fresh = MODELS.build(fusion_model_config())
    saved = torch.load(tmp_path / "deep" / "merged.pth", weights_only=True)
    result = fresh.load_state_dict(saved["state_dict"], strict=False)
    assert result.unexpected_keys == []
    assert all(k.startswith(("encoder.fuse", "head.")) for k in result.missing_keys)
    for part, source in (("camera", camera), ("lidar", lidar)):
        loaded = getattr(fresh.encoder, part).state_dict()
        assert all(torch.equal(loaded[k], v) for k, v in source.state_dict().items())
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["merged.pth"]


def test_what_does_not_cover_both_encoders_is_refused_and_nothing_is_written(fusion, parts, tmp_path):
    weights = _merged(*parts[:2])
    key = "encoder.lidar.pts_middle_encoder.project.weight"
    broken = {
        "1 missing, the first " + key: {k: v for k, v in weights.items() if k != key},
        "1 unexpected, the first encoder.camera.more": weights | {"encoder.camera.more": torch.ones(1)},
        f"1 of another shape, the first {key} (3, 8) instead of (8, 8)": weights | {key: torch.ones(3, 8)},
    }
    for message, wrong in broken.items():
        with pytest.raises(UserError) as error:
            write_merged(fusion, wrong, tmp_path / "merged.pth")
        assert message in str(error.value)
        assert not (tmp_path / "merged.pth").exists()


def test_parts_that_start_new_can_be_named(fusion, parts, tmp_path):
    weights = {k: v for k, v in _merged(*parts[:2]).items() if ".pts_neck." not in k}
    with pytest.raises(UserError):
        write_merged(fusion, weights, tmp_path / "merged.pth", ("encoder.lidar.convs",))
    write_merged(fusion, weights, tmp_path / "merged.pth", ("encoder.lidar.pts_neck",))
    assert (tmp_path / "merged.pth").is_file()


def test_coverage_tells_the_four_cases_apart():
    own = {"a": torch.zeros(2), "b": torch.zeros(3), "c": torch.zeros(1)}
    coverage = compare(own, {"a": torch.zeros(2), "b": torch.zeros(4), "d": torch.zeros(1)})
    assert vars(coverage) == {
        "matched": ["a"],
        "missing": ["c"],
        "unexpected": ["d"],
        "shape": ["b (4,) instead of (3,)"],
    }


def test_a_work_dir_stands_for_its_last_checkpoint(parts):
    folder = parts[0].parent
    (folder / "last_checkpoint").write_text(str(parts[0]))
    assert read_encoder_weights(folder).keys() == parts[2].state_dict().keys()


def test_files_without_an_encoder_or_with_a_fusion_encoder_are_refused(parts, fusion, tmp_path):
    torch.save({"state_dict": nn.Linear(2, 2).state_dict()}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth: no key of its state_dict starts with 'encoder\.'"):
        read_encoder_weights(tmp_path / "other.pth")
    torch.save({"weights": 1}, tmp_path / "bare.pth")
    with pytest.raises(ValueError, match=r"bare\.pth: expected a checkpoint with the key 'state_dict'"):
        read_encoder_weights(tmp_path / "bare.pth")
    torch.save({"state_dict": fusion.state_dict()}, tmp_path / "fusion.pth")
    with pytest.raises(ValueError, match="expected a lidar encoder, found a fusion encoder"):
        _merged(parts[0], tmp_path / "fusion.pth")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_encoder_weights(tmp_path / "nowhere.safetensors")


def test_a_checkpoint_that_wants_to_run_code_is_refused(parts, tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    torch.save({"state_dict": {"encoder.x": Evil()}}, tmp_path / "evil.pth")
    with pytest.raises(RuntimeError, match="refused to load"):
        _merged(tmp_path / "evil.pth", parts[1])


def test_a_recipe_without_both_encoders_is_refused(parts, repository, tmp_path):
    recipe = repository / "configs" / "tiny" / "ponderv2_lidar_keyframe.py"
    with pytest.raises(UserError, match="expected a model with an encoder of camera and lidar"):
        merge(parts[0], parts[1], tmp_path / "merged.pth", recipe)


@pytest.fixture(scope="module")
def detectors(tmp_path_factory):
    """Recipe of the tiny fusion detector, and a camera and a LiDAR detector in checkpoints."""
    folder, tiny = tmp_path_factory.mktemp("detectors"), REPOSITORY / "configs" / "tiny"
    torch.manual_seed(2)
    models = {}
    for modality in ("camera", "lidar"):
        models[modality] = MODELS.build(load_config(tiny / f"uvtr_{modality}_synthetic.py").model)
        torch.save({"meta": {}, "state_dict": models[modality].state_dict()}, folder / f"{modality}.pth")
    config = load_config(tiny / "uvtr_fusion_synthetic.py").model
    return tiny / "uvtr_fusion_synthetic.py", folder, models, config


def test_a_fusion_detector_starts_with_the_head_of_the_lidar_detector(detectors, tmp_path, capsys, monkeypatch):
    recipe, folder, models, config = detectors
    read = create_autospec(load_checkpoint_file, side_effect=load_checkpoint_file)
    for module in (merge_module, encoder_file, head_weights, converted_options):
        monkeypatch.setattr(module, "load_checkpoint_file", read)
    merge(folder / "camera.pth", folder / "lidar.pth", tmp_path / "merged.pth", recipe)
    assert [call.args[0].name for call in read.call_args_list] == ["camera.pth", "lidar.pth"]
    assert re.search(rf"head +│ +{len(models['lidar'].head.state_dict())} ", capsys.readouterr().out)
    start = dict(checkpoint=str(tmp_path / "merged.pth"), new=("fuse",), head=True)
    fused = MODELS.build(dict(config, init_cfg=start))
    fused.init_weights()
    for part, own in (("camera", fused.encoder.camera), ("lidar", fused.encoder.lidar)):
        theirs = models[part].encoder.state_dict()
        assert all(torch.equal(value, theirs[name]) for name, value in own.state_dict().items())
    theirs = models["lidar"].head.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in fused.head.state_dict().items())


def test_what_converted_models_need_of_a_recipe_is_kept(detectors, tmp_path):
    recipe, folder, models, _ = detectors
    meta = {"options": ["model.encoder.grid.placement=published"]}
    torch.save({"meta": meta, "state_dict": models["camera"].state_dict()}, tmp_path / "converted.pth")
    merge(tmp_path / "converted.pth", folder / "lidar.pth", tmp_path / "merged.pth", recipe)
    kept = torch.load(tmp_path / "merged.pth", weights_only=True)["meta"]["options"]
    assert kept == [f"model.encoder.{part}.grid.placement=published" for part in ("camera", "lidar")]
    fused = load_config(recipe, options=parse_options([*kept, "model.init_cfg=None"]))
    assert MODELS.build(fused.model).encoder.camera.grid.placement == "published"


def test_the_head_can_be_left_out_and_a_recipe_that_wants_it_then_says_so(detectors, tmp_path):
    recipe, folder, models, config = detectors
    out = tmp_path / "merged.pth"
    merge(folder / "camera.pth", folder / "lidar.pth", out, recipe, head=False)
    assert all(name.startswith("encoder.") for name in torch.load(out, weights_only=True)["state_dict"])
    start = dict(checkpoint=str(out), new=("fuse",))
    fresh = MODELS.build(dict(config, init_cfg=start))
    fresh.init_weights()
    name = "decoder.layers.0.self_attention.query_key.weight"
    assert not torch.equal(fresh.head.state_dict()[name], models["lidar"].head.state_dict()[name])
    wanting = MODELS.build(dict(config, init_cfg=dict(start, head=True)))
    with pytest.raises(UserError, match=r"model\.init_cfg\.head: .*merged\.pth.*has no head; .*init_cfg\.head=False"):
        wanting.init_weights()


def test_a_lidar_model_without_a_head_of_this_detector_is_refused_by_name(detectors, tmp_path):
    recipe, folder, models, _ = detectors
    config = load_config(recipe.with_name("uvtr_lidar_synthetic.py")).model
    export_encoder(models["lidar"].encoder, tmp_path / "lidar.safetensors", config.encoder, config.data_preprocessor)
    with pytest.raises(UserError, match=r"lidar\.safetensors is an exported encoder, which has no head.*; --no-head"):
        merge(folder / "camera.pth", tmp_path / "lidar.safetensors", tmp_path / "merged.pth", recipe)
    # As the head of a pre-training, or of another detector.
    weights = {k: v for k, v in models["lidar"].state_dict().items() if k.startswith("encoder.")}
    torch.save({"state_dict": weights | {"head.render_conv.conv.bias": torch.ones(8)}}, tmp_path / "pretrained.pth")
    with pytest.raises(UserError, match=r"nothing was written: head: \d+ missing.*head: 1 unexpected"):
        merge(folder / "camera.pth", tmp_path / "pretrained.pth", tmp_path / "merged.pth", recipe)
    assert not (tmp_path / "merged.pth").exists()


def test_a_joint_pre_training_takes_the_encoders_alone(detectors, tmp_path):
    recipe, folder, _, _ = detectors
    pretraining = recipe.with_name("ponderv2_fusion_synthetic.py")
    merge(folder / "camera.pth", folder / "lidar.pth", tmp_path / "merged.pth", pretraining)
    assert all(k.startswith("encoder.") for k in torch.load(tmp_path / "merged.pth", weights_only=True)["state_dict"])
