"""Exported encoders: same keys, same values, a header, and a hash that notices damage."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from ponderv2 import __version__
from ponderv2.checkpoints import export_encoder, read_encoder, read_header
from ponderv2.registry import MODELS
from tests.factories.camera_models import model_config


@pytest.fixture
def config():
    return model_config()


@pytest.fixture
def encoder(config):
    return MODELS.build(config["encoder"])


def _export(encoder, path, config, **more):
    return export_encoder(encoder, path, config["encoder"], config["data_preprocessor"], **more)


def test_round_trip_keeps_keys_and_values(encoder, config, tmp_path):
    path = tmp_path / "deep" / "encoder.safetensors"
    digest = _export(encoder, path, config, recipe="recipe = 1", name="small")
    weights, header = read_encoder(path)
    assert weights.keys() == encoder.state_dict().keys()
    assert all(torch.equal(v, encoder.state_dict()[k]) for k, v in weights.items())
    assert (header.recipe, header.name, header.version) == ("recipe = 1", "small", __version__)
    assert (header.sha256, header.tensors) == (digest, len(weights))
    assert header.preprocessor["pad_divisor"] == 32
    assert len(header.preprocessor["mean"]) == 3
    assert list(path.parent.iterdir()) == [path]
    fresh = MODELS.build(config["encoder"])
    fresh.load_state_dict(weights)


def test_the_header_is_read_without_the_weights(encoder, config, tmp_path):
    _export(encoder, tmp_path / "a.safetensors", config)
    header, shapes = read_header(tmp_path / "a.safetensors")
    assert header.encoder["type"] == "CameraEncoder"
    assert {k: v.shape for k, v in shapes.items()} == {k: v.shape for k, v in encoder.state_dict().items()}
    assert all(v.is_meta for v in shapes.values())


def test_the_hash_depends_on_values_alone(encoder, config, tmp_path):
    first = _export(encoder, tmp_path / "a.safetensors", config, recipe="one")
    assert first == _export(encoder, tmp_path / "b.safetensors", config, recipe="two")
    with torch.no_grad():
        encoder.input_proj.bias[0] += 1e-3
    assert first != _export(encoder, tmp_path / "c.safetensors", config, recipe="one")


def test_a_config_of_another_encoder_is_refused_and_nothing_is_written(encoder, config, tmp_path):
    config["encoder"]["depth_net"]["num_bins"] = 32
    with pytest.raises(ValueError, match=r"builds another encoder: 2 of another shape, the first depth_net"):
        _export(encoder, tmp_path / "a.safetensors", config)
    assert list(tmp_path.iterdir()) == []


def test_changed_weights_are_noticed(encoder, config, tmp_path):
    path = tmp_path / "encoder.safetensors"
    _export(encoder, path, config)
    _, header = read_encoder(path)
    weights = load_file(path)
    weights["input_proj.bias"] += 1
    save_file(weights, path, metadata=header.to_metadata())
    with pytest.raises(ValueError, match="do not match the hash"):
        read_encoder(path)


def test_other_safetensors_files_are_refused(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"ponderv2\.encoder\.v2"):
        read_encoder(tmp_path / "other.safetensors")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_encoder(tmp_path / "nowhere.safetensors")
