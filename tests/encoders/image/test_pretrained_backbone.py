"""Loading backbone weights: what is covered, what is refused, and what happens without a network."""

import re

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError
from mmengine.logging import MMLogger
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
)

from ponderv2.encoders.image import pretrained_backbone
from ponderv2.encoders.image.image_backbones import PonderConvNeXt, PonderResNet
from ponderv2.encoders.image.weight_names import convnext_name
from ponderv2.errors import UserError

DEPTHS, CHANNELS = [1, 1, 1, 1], [8, 12, 16, 20]
HUB_ID = "facebook/convnext-small-224"


def convnext(weights: object, channels: list[int] = CHANNELS) -> PonderConvNeXt:
    model = PonderConvNeXt(depths=DEPTHS, channels=channels, weights=str(weights))
    model.init_weights()
    return model


def official_names(model: PonderConvNeXt) -> dict[str, torch.Tensor]:
    """Weights of a backbone in the names of the original ConvNeXt, written out by hand."""
    found = {}
    for name, value in model.state_dict().items():
        name = name.replace("stem.patch_embeddings.", "downsample_layers.0.0.")
        name = name.replace("stem.layernorm.", "downsample_layers.0.1.")
        name = re.sub(r"stages\.(\d)\.downsampling_layer\.(\d)\.", r"downsample_layers.\1.\2.", name)
        name = re.sub(r"stages\.(\d)\.layers\.(\d)\.layernorm", r"stages.\1.\2.norm", name)
        name = re.sub(r"stages\.(\d)\.layers\.(\d)\.layer_scale_parameter", r"stages.\1.\2.gamma", name)
        name = re.sub(r"stages\.(\d)\.layers\.(\d)\.", r"stages.\1.\2.", name)
        found[re.sub(r"norms\.(\d)\.", r"norm\1.", name)] = value
    return found


def classifier() -> ConvNextForImageClassification:
    return ConvNextForImageClassification(ConvNextConfig(depths=DEPTHS, hidden_sizes=CHANNELS, num_labels=3))


@pytest.fixture
def log(monkeypatch):
    """Records of the current mmengine logger, which does not propagate to pytest's."""
    records = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, "callHandlers", records.append)
    return records


@pytest.fixture
def hub(monkeypatch):
    """A hub that answers or not, and does to a download what the test says."""

    def set_up(answers: bool, download: object) -> None:
        monkeypatch.setattr(pretrained_backbone, "_answers", lambda url: answers)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)

    return set_up


def test_a_saved_classifier_fills_the_backbone_and_leaves_norms_at_identity(tmp_path, log):
    source = classifier()
    source.save_pretrained(tmp_path)
    model = convnext(tmp_path)
    assert torch.equal(model.stem.patch_embeddings.weight, source.convnext.embeddings.patch_embeddings.weight)
    for own, theirs in zip(model.stages.parameters(), source.convnext.encoder.stages.parameters(), strict=True):
        assert torch.equal(own, theirs)
    assert all(norm.weight.eq(1).all() and norm.bias.eq(0).all() for norm in model.norms.values())
    assert len(log) == 1
    total = len(model.state_dict())
    expected = rf"{total - 8} of {total} tensors .*missing: 8 \(norms.*unexpected: 4 \(.*classifier"
    assert re.search(expected, log[0].getMessage())


def test_a_saved_resnet_classifier_fills_the_backbone(tmp_path):
    config = ResNetConfig(embedding_size=8, depths=DEPTHS, hidden_sizes=[16, 24, 32, 40], num_labels=3)
    source = ResNetForImageClassification(config)
    with torch.no_grad():
        for value in source.buffers():
            value.add_(1)
    source.save_pretrained(tmp_path)
    model = PonderResNet(depths=DEPTHS, channels=[16, 24, 32, 40], stem_channels=8, weights=str(tmp_path))
    model.init_weights()
    theirs = source.resnet.state_dict()
    for name, value in model.state_dict().items():
        name = name.replace("stem.", "embedder.", 1) if name.startswith("stem.") else f"encoder.{name}"
        assert torch.equal(value, theirs[name]), name


def test_the_state_dict_of_a_backbone_loads_again_from_one_file(tmp_path):
    source = PonderConvNeXt(depths=DEPTHS, channels=CHANNELS)
    torch.save({"state_dict": source.state_dict()}, tmp_path / "backbone.pth")
    model = convnext(tmp_path / "backbone.pth")
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("nested_in", [None, "model", "module"])
def test_a_file_in_official_style_fills_the_backbone(tmp_path, log, nested_in):
    """As SparK's `convnextS_1kpretrained_official_style.pth`, and the original authors' files, name their weights."""
    source = PonderConvNeXt(depths=DEPTHS, channels=CHANNELS)
    with torch.no_grad():
        for value in source.parameters():
            value.normal_()
    tensors = official_names(source)
    # Files have no norms of returned maps, but the classifier's.
    returned = {f"norm{k}.{part}" for k in range(4) for part in ("weight", "bias")}
    assert returned < tensors.keys()
    tensors = {k: v for k, v in tensors.items() if k not in returned} | {"norm.weight": torch.ones(20)}
    torch.save(tensors if nested_in is None else {nested_in: tensors}, tmp_path / "official.pth")
    model = convnext(tmp_path / "official.pth")
    for name, value in model.state_dict().items():
        expected = source.state_dict()[name]
        if name.startswith("norms."):
            expected = torch.ones_like(value) if name.endswith("weight") else torch.zeros_like(value)
        assert torch.equal(value, expected), name
    assert "unexpected: 1 (norm.weight)" in log[0].getMessage()


def test_the_names_of_the_published_detectors_are_known():
    """MaskConvNeXt of UniPAD has official names, and a norm `norm3` of the map that it returns."""
    model = PonderConvNeXt(depths=DEPTHS, channels=CHANNELS)
    assert {convnext_name(name) for name in official_names(model)} == model.state_dict().keys()


def test_nothing_is_read_before_a_training_starts(tmp_path):
    """Evaluation builds the model and has its weights from a checkpoint."""
    model = PonderConvNeXt(depths=DEPTHS, channels=CHANNELS, weights=str(tmp_path / "gone.pth"))
    with pytest.raises(FileNotFoundError, match=r"gone\.pth.*docs/model_zoo\.md says where"):
        model.init_weights()


def test_without_weights_the_backbone_is_random_as_the_recipe_says(log):
    model = PonderConvNeXt(depths=DEPTHS, channels=CHANNELS, weights=None)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert log == []


def test_a_torch_file_in_a_folder_is_read_when_there_is_no_safetensors_file(tmp_path):
    source = classifier()
    torch.save(source.state_dict(), tmp_path / "pytorch_model.bin")
    model = convnext(tmp_path)
    assert torch.equal(model.stem.layernorm.weight, source.convnext.embeddings.layernorm.weight)


def test_a_pickle_of_anything_but_tensors_is_refused_and_does_not_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was run",))

    torch.save({"stem": Harmful()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="convert it to safetensors"):
        convnext(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9], ids=["empty", "its start", "all but its end"])
def test_a_file_that_is_cut_short_is_one_line_with_its_name(tmp_path, name, kept):
    path = tmp_path / name
    if name.endswith(".bin"):
        torch.save(classifier().state_dict(), path)
    else:
        classifier().save_pretrained(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UserError, match=re.escape(name)) as error:
        convnext(tmp_path)
    assert "\n" not in str(error.value)


def test_a_file_that_is_damaged_inside_is_one_line_with_its_name(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    torch.save(classifier().state_dict(), path)
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02")
    content[start : start + 4] = b"torn"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"pytorch_model\.bin") as error:
        convnext(tmp_path)
    assert "\n" not in str(error.value)


def test_weights_of_another_size_are_refused(tmp_path):
    classifier().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"another size.*patch_embeddings\.weight \(8, 3, 4, 4\) -> \(16,"):
        convnext(tmp_path, channels=[16, 12, 16, 20])


def test_weights_that_lack_a_layer_are_refused(tmp_path):
    tensors = classifier().state_dict()
    del tensors["convnext.encoder.stages.2.layers.0.dwconv.weight"]
    torch.save(tensors, tmp_path / "backbone.pth")
    with pytest.raises(ValueError, match=r"missing: 1 \(stages\.2\.layers\.0\.dwconv\.weight\)"):
        convnext(tmp_path / "backbone.pth")


@pytest.mark.parametrize("name", ["missing", "missing/model.safetensors", "a/b/c"])
def test_a_missing_local_path_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"{name}'"):
        convnext(tmp_path / name)


def test_a_misspelt_relative_folder_is_not_taken_for_a_hub_id(tmp_path, monkeypatch):
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="checkpoints/convnext"):
        convnext("checkpoints/convnext")


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        convnext(tmp_path)


def test_a_hub_out_of_reach_is_an_error_that_says_what_to_do(hub):
    asked = []

    def download(repository, name, local_files_only):
        asked.append((repository, name, local_files_only))
        raise LocalEntryNotFoundError("not cached")

    hub(answers=False, download=download)
    with pytest.raises(UserError, match=rf"the hub cannot be reached and '{HUB_ID}'.*model_zoo\.md.*weights=None"):
        convnext(HUB_ID)
    # Only the cache is asked: the client's own retries take half a minute.
    assert asked == [(HUB_ID, "model.safetensors", True), (HUB_ID, "pytorch_model.bin", True)]


def test_a_connection_lost_on_the_way_is_an_error_as_well(hub):
    def download(repository, name, local_files_only):
        raise LocalEntryNotFoundError("connection lost")

    hub(answers=True, download=download)
    with pytest.raises(UserError, match="the hub cannot be reached"):
        convnext(HUB_ID)


def test_cached_weights_are_used_without_a_network(hub, tmp_path):
    source = classifier()
    source.save_pretrained(tmp_path)
    hub(answers=False, download=lambda repository, name, local_files_only: str(tmp_path / name))
    model = convnext(HUB_ID)
    assert torch.equal(model.stem.layernorm.weight, source.convnext.embeddings.layernorm.weight)


def test_a_repository_that_does_not_exist_is_an_error(hub):
    def download(repository, name, local_files_only):
        raise _remote(RepositoryNotFoundError)

    hub(answers=True, download=download)
    with pytest.raises(ValueError, match="no repository 'facebook/convnext-small-224'"):
        convnext(HUB_ID)


def test_a_repository_without_weights_is_an_error(hub):
    def download(repository, name, local_files_only):
        raise _remote(EntryNotFoundError)

    hub(answers=True, download=download)
    with pytest.raises(ValueError, match=r"neither model\.safetensors nor"):
        convnext(HUB_ID)


def test_nothing_answers_at_a_closed_port():
    assert not pretrained_backbone._answers("http://127.0.0.1:9")


def _remote(kind: type[Exception]) -> Exception:
    """An error of the hub; its constructor wants the response of whatever HTTP client the hub uses."""
    return kind.__new__(kind)
