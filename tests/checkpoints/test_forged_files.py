"""A file from a stranger can name nothing that is not on the list, and nothing is loaded when it does not fit."""

import json
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ponderv2.checkpoints import export_encoder, load_encoder, weights_hash
from ponderv2.registry import MODELS
from tests.factories.lidar_models import fusion_model_config

REMOVED = object()


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """An exported fusion encoder."""
    config = fusion_model_config()
    path = tmp_path_factory.mktemp("honest") / "encoder.safetensors"
    export_encoder(MODELS.build(config["encoder"]), path, config["encoder"], config["data_preprocessor"])
    return path


@pytest.fixture
def forge(honest, tmp_path):
    """Write the honest file again with another header or other weights."""

    def write(metadata=None, weights=None):
        with safe_open(honest, framework="pt") as file:
            old = file.metadata()
        new = {k: v for k, v in (old | (metadata or {})).items() if v is not REMOVED}
        weights = load_file(honest) if weights is None else weights
        path = tmp_path / "forged.safetensors"
        save_file(weights, path, metadata=new)
        return path

    return write


def _header(honest, key):
    with safe_open(honest, framework="pt") as file:
        return json.loads(file.metadata()[key])


def _changed(data, place, value):
    *parents, last = place.split(".")
    inner = data
    for name in parents:
        inner = inner[name]
    inner[last] = value
    return data


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("type", "os.system", r"encoder\.type: 'os\.system' is not allowed here, expected CameraEncoder or"),
        ("type", ["CameraEncoder"], r"encoder\.type: \['CameraEncoder'\] is not allowed here"),
        ("type", "ponderv2.encoders.FusionEncoder", r"encoder\.type: .* is not allowed here"),
        ("type", "RenderingPretrainer", r"encoder\.type: 'RenderingPretrainer' is not allowed here"),
        ("camera", None, r"FusionEncoder cannot be built"),
        ("camera.type", "FusionEncoder", r"encoder\.camera\.type: 'FusionEncoder' is not allowed here"),
        ("camera.img_neck", {"type": "os.system"}, r"camera\.img_neck\.type: 'os\.system' is not allowed"),
        ("camera.img_neck", {"type": "this.FPN"}, r"camera\.img_neck\.type: 'this\.FPN' is not allowed"),
        ("camera.img_neck", "FPN", r"camera\.img_neck: expected a dictionary with a type, found 'FPN'"),
        ("camera.img_neck.norm_cfg", {"type": "this.s"}, r"norm_cfg\.type: 'this\.s' is not allowed here"),
        ("camera.img_neck.norm_cfg", {"type": "BN", "device": "cuda"}, r"norm_cfg\.device: not allowed"),
        ("camera.img_neck.norm_cfg", {"eps": 0.1}, r"norm_cfg\.type: None is not allowed here"),
        ("camera.img_neck.conv_cfg", {"type": "DCNv2"}, r"conv_cfg\.type: 'DCNv2' is not allowed here"),
        ("camera.img_neck._scope_", "this", r"img_neck\._scope_: FPN takes no such setting"),
        ("camera.img_neck.in_channels", {"type": "this.s"}, r"in_channels: expected no dictionary here"),
        ("camera.neck_strides", [{"type": "this.s"}], r"neck_strides: expected a number, a short text"),
        (
            "camera.init_cfg",
            {"type": "Pretrained", "checkpoint": "http://example.org"},
            r"camera\.init_cfg: .* no such",
        ),
        ("camera.img_neck.init_cfg", {"type": "Pretrained"}, r"img_neck\.init_cfg: FPN takes no such setting"),
        ("camera.img_backbone.weights", "/etc/passwd", r"img_backbone\.weights: .* takes no such setting"),
        ("camera.img_backbone.weights", None, r"img_backbone\.weights: .* takes no such setting"),
        ("camera.grid.extra", 1, r"grid\.extra: not allowed in an encoder file, expected point_cloud_range"),
        ("camera.grid", None, r"cannot be built"),
        ("camera.grid.placement", "a" * 100, r"grid\.placement: expected a number, a short text"),
        ("camera.lift.depth_range", [float("nan"), 1.0], r"depth_range: expected a number of at most \d+, found nan"),
        ("camera.lift.depth_range", [0.0, float("inf")], r"depth_range: expected a number of at most \d+, found inf"),
        ("camera.channels", 10**4000, r"camera\.channels: expected a number of at most \d+, found 1000"),
        ("camera.num_convs", 1000, r"camera\.num_convs: expected a number of at most 64, found 1000"),
        ("camera.img_backbone.depths", [1, 10**6], r"depths: expected a number of at most 64, found 1000000"),
        ("camera.img_backbone.depths", [1] * 1000, r"depths: expected at most 16 entries, found 1000"),
        ("num_convs", 2, r"does not hold the weights of its encoder: 6 missing, the first fuse\.1"),
        ("num_convs", 0, r"does not hold the weights of its encoder: \d not in the model, the first fuse\.0"),
        ("camera.depth_net.num_bins", 2**20, r"2 of another shape, the first camera\.depth_net"),
    ],
)
def test_a_config_that_asks_for_more_is_refused_with_the_file_and_the_key(forge, honest, place, value, message):
    path = forge({"encoder": json.dumps(_changed(_header(honest, "encoder"), place, value))})
    with pytest.raises(ValueError, match=message) as refused:
        load_encoder(path)
    assert str(path) in str(refused.value)
    assert "this" not in sys.modules


def test_a_volume_of_absurd_size_is_refused(forge, honest):
    data = _header(honest, "encoder")["camera"]
    data["grid"]["size"] = [2**20, 2**20, 2**20]
    with pytest.raises(ValueError, match=r"encoder\.grid\.size: .* are more than \d+ cells"):
        load_encoder(forge({"encoder": json.dumps(data)}))


def test_absurd_channels_are_refused_before_memory_is_taken(forge, honest):
    data = _header(honest, "encoder")["camera"]
    # The projection of the neck alone would take four terabytes.
    data["channels"] = 2**20
    with pytest.raises(ValueError, match=r"of another shape, the first input_proj\.weight|\d+ missing"):
        load_encoder(forge({"encoder": json.dumps(data)}))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("type", "CameraEncoder", r"preprocessor\.type: 'CameraEncoder' is not allowed here"),
        ("mean", [1.0], r"preprocessor\.mean: expected a number each for red, green and blue"),
        ("mean", ["a", "b", "c"], r"preprocessor\.mean: expected a number each for red, green and blue"),
        ("std", [0.0, 1.0, 1.0], r"preprocessor\.std: expected a number each"),
        ("pad_divisor", 0, r"preprocessor\.pad_divisor: expected 1 to 1024 pixels, found 0"),
        ("pad_divisor", 4096, r"preprocessor\.pad_divisor: expected 1 to 1024 pixels, found 4096"),
        ("bgr", True, r"preprocessor\.bgr: SensorPreprocessor takes no such setting"),
    ],
)
def test_a_preprocessor_that_cannot_be_is_refused(forge, honest, place, value, message):
    with pytest.raises(ValueError, match=message):
        load_encoder(forge({"preprocessor": json.dumps(_changed(_header(honest, "preprocessor"), place, value))}))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format": "ponderv2.encoder.v1"}, r"expected format ponderv2\.encoder\.v2 in its header, found .*v1"),
        ({"format": REMOVED}, "expected format"),
        ({"run": "me"}, "header key 'run' is unknown"),
        ({"preprocessor": REMOVED}, "header key 'preprocessor' is missing"),
        ({"encoder": "{"}, "header key 'encoder': expected JSON"),
        ({"encoder": "[]"}, r"header key 'encoder': expected a dict, found \[\]"),
        ({"encoder": "[" * 10000}, "header key 'encoder': expected JSON"),
        ({"encoder": " " * 10**6}, r"header key 'encoder': expected at most \d+ characters, found 1000000"),
        ({"tensors": "1"}, "the file is damaged"),
        ({"sha256": "0" * 64}, "the file is damaged"),
    ],
)
def test_a_header_that_is_not_ours_is_refused(forge, metadata, message):
    with pytest.raises(ValueError, match=message):
        load_encoder(forge(metadata))


def test_weights_that_were_changed_left_out_or_added_are_refused(forge, honest):
    weights = load_file(honest)
    first = "fuse.0.conv.weight"
    with pytest.raises(ValueError, match="do not match the hash"):
        load_encoder(forge(weights=weights | {first: weights[first] + 1}))
    fewer = {k: v for k, v in weights.items() if k != first}
    with pytest.raises(ValueError, match=f"1 missing, the first {first}"):
        load_encoder(forge({"sha256": weights_hash(fewer), "tensors": str(len(fewer))}, fewer))
    more = weights | {"fuse.more": torch.ones(1)}
    with pytest.raises(ValueError, match=r"1 not in the model, the first fuse\.more"):
        load_encoder(forge({"sha256": weights_hash(more), "tensors": str(len(more))}, more))


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_file_that_is_cut_short_is_refused(honest, tmp_path, kept):
    path = tmp_path / "short.safetensors"
    path.write_bytes(honest.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"short\.safetensors: no whole safetensors file"):
        load_encoder(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.safetensors"):
        load_encoder(tmp_path / "nowhere.safetensors")
