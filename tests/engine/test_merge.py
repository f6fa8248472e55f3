"""Merging a camera and a LiDAR encoder into the start of a fusion model."""

import pytest
import torch
from torch import nn

from ponderv2.checkpoints import compare, export_encoder, read_encoder_weights
from ponderv2.engine.merge import merge, merge_encoders, write_merged
from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from tests.factories.lidar_models import fusion_model_config


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


def test_a_fusion_model_starts_with_both_encoders(fusion, parts, tmp_path, capsys):
    camera_path, lidar_path, camera, lidar = parts
    write_merged(fusion, merge_encoders(camera_path, lidar_path), tmp_path / "deep" / "merged.pth")
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
    assert not (tmp_path / "deep" / "merged.pth.part").exists()


def test_what_does_not_cover_both_encoders_is_refused_and_nothing_is_written(fusion, parts, tmp_path):
    weights = merge_encoders(*parts[:2])
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
    weights = {k: v for k, v in merge_encoders(*parts[:2]).items() if ".pts_neck." not in k}
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
        merge_encoders(parts[0], tmp_path / "fusion.pth")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_encoder_weights(tmp_path / "nowhere.safetensors")


def test_a_checkpoint_that_wants_to_run_code_is_refused(parts, tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    torch.save({"state_dict": {"encoder.x": Evil()}}, tmp_path / "evil.pth")
    with pytest.raises(RuntimeError, match="refused to load"):
        merge_encoders(tmp_path / "evil.pth", parts[1])


def test_a_recipe_without_both_encoders_is_refused(parts, repository, tmp_path):
    recipe = repository / "configs" / "tiny" / "ponderv2_lidar_keyframe.py"
    with pytest.raises(UserError, match="expected a model with an encoder of camera and lidar"):
        merge(parts[0], parts[1], tmp_path / "merged.pth", recipe)
