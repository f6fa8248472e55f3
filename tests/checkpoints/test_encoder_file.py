"""Exported encoders: same keys, same values, a header, and a hash that notices damage."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ponderv2.checkpoints import export_encoder, read_encoder


@pytest.fixture
def encoder():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def test_round_trip_keeps_keys_and_values(encoder, tmp_path):
    digest = export_encoder(encoder, tmp_path / "encoder.safetensors", "recipe = 1")
    weights, header = read_encoder(tmp_path / "encoder.safetensors")
    assert weights.keys() == encoder.state_dict().keys()
    assert all(torch.equal(v, encoder.state_dict()[k]) for k, v in weights.items())
    assert header["recipe"] == "recipe = 1"
    assert header["sha256"] == digest
    fresh = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    fresh.load_state_dict(weights)


def test_the_hash_depends_on_values_alone(encoder, tmp_path):
    first = export_encoder(encoder, tmp_path / "a.safetensors", "one")
    assert first == export_encoder(encoder, tmp_path / "b.safetensors", "two")
    with torch.no_grad():
        encoder[0].bias[0] += 1e-6
    assert first != export_encoder(encoder, tmp_path / "c.safetensors", "one")


def test_changed_weights_are_noticed(encoder, tmp_path):
    path = tmp_path / "encoder.safetensors"
    export_encoder(encoder, path, "recipe")
    _, header = read_encoder(path)
    weights = load_file(path)
    weights["0.bias"] += 1
    save_file(weights, path, metadata=header)
    with pytest.raises(ValueError, match="do not match the hash"):
        read_encoder(path)


def test_other_safetensors_files_are_refused(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"ponderv2\.encoder\.v1"):
        read_encoder(tmp_path / "other.safetensors")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_encoder(tmp_path / "nowhere.safetensors")
