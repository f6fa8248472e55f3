"""Image backbones: transformers' own numbers, sizes, and options that are refused."""

import copy
import pickle

import pytest
import torch
from mmengine.model import BaseModule
from torch import nn
from transformers import ConvNextBackbone, ConvNextConfig, ResNetBackbone, ResNetConfig

from ponderv2.encoders.image.image_backbones import PonderConvNeXt, PonderResNet
from ponderv2.registry import MODELS
from tests.factories.image_backbones import CONVNEXT, DEPTHS, RESNET, SIZE, build, images

both = pytest.mark.parametrize("kind", ["convnext", "resnet"])


@both
@pytest.mark.parametrize("out_indices", [(0, 1, 2, 3), (1, 3)])
def test_without_a_mask_outputs_are_those_of_transformers(kind, out_indices, tmp_path):
    reference = _reference(kind, out_indices)
    reference.save_pretrained(tmp_path)
    model = build_from(kind, tmp_path, out_indices=out_indices).eval()
    for own, theirs in zip(model(images()), reference(images()).feature_maps, strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-5, atol=1e-5)


@both
def test_a_backbone_can_be_copied_and_pickled(kind):
    model = build(kind)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(copied(images())[-1], model(images())[-1])


@both
def test_the_recursive_initialisation_of_mmengine_leaves_loaded_weights_alone(kind):
    model = build(kind)
    before = copy.deepcopy(model.state_dict())
    holder = BaseModule()
    holder.backbone = model
    holder.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_drop_path_grows_linearly_over_the_blocks():
    model = PonderConvNeXt(depths=DEPTHS, channels=CONVNEXT, drop_path_rate=0.2)
    rates = [getattr(layer.drop_path, "drop_prob", 0.0) for stage in model.stages for layer in stage["layers"]]
    assert rates == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16, 0.2])
    assert model.stages[3]["layers"][0].layer_scale_parameter.unique().tolist() == pytest.approx([1e-6])


@both
def test_channels_and_strides_are_those_of_the_maps(kind):
    model = build(kind, out_indices=(1, 2))
    assert model.channels == (CONVNEXT if kind == "convnext" else RESNET)[1:3]
    assert model.strides == (8, 16)
    assert len(model.stages) == 3  # a stage that nothing reads would be an unused parameter for DDP
    for output, channels, stride in zip(model(images()), model.channels, model.strides, strict=True):
        assert output.shape == (2, channels, SIZE[0] // stride, SIZE[1] // stride)


@pytest.mark.parametrize(
    ("name", "options", "channels", "blocks"),
    [
        ("PonderConvNeXt", {}, (96, 192, 384, 768), (3, 3, 27, 3)),
        ("PonderConvNeXt", {"size": "base"}, (128, 256, 512, 1024), (3, 3, 27, 3)),
        ("PonderResNet", {}, (256, 512, 1024, 2048), (3, 4, 6, 3)),
        ("PonderResNet", {"depth": 101, "out_indices": [1, 2]}, (512, 1024), (3, 4, 23)),
    ],
)
def test_the_registry_builds_the_named_sizes(name, options, channels, blocks):
    with torch.device("meta"):
        model = MODELS.build({"type": f"mmdet3d.{name}", **options})
    assert model.channels == channels
    assert tuple(len(stage["layers"]) for stage in model.stages) == blocks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_indices": ()}, "ascending"),
        ({"out_indices": (1, 0)}, "ascending"),
        ({"out_indices": (0, 4)}, r"out of 0\.\.3"),
        ({"out_indices": (0, 1), "frozen_stages": 3}, "up to 2"),
        ({"frozen_stages": -2}, "frozen_stages is -1"),
        ({"channels": None}, "together"),
        ({"depths": (1, 1)}, "together"),
        ({"size": "huge"}, "tiny, small, base, large"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build("convnext", **options)


def build_from(kind: str, weights: object, **kwargs: object) -> nn.Module:
    """A tiny backbone with loaded weights, otherwise as initialised."""
    if kind == "convnext":
        model = PonderConvNeXt(depths=DEPTHS, channels=CONVNEXT, weights=str(weights), **kwargs)
    else:
        model = PonderResNet(depths=DEPTHS, channels=RESNET, stem_channels=8, weights=str(weights), **kwargs)
    model.init_weights()
    return model


def _reference(kind: str, out_indices: tuple[int, ...]) -> nn.Module:
    """Transformers' own backbone with random values everywhere."""
    own = build(kind)
    options = {"depths": list(DEPTHS), "out_features": [f"stage{i + 1}" for i in out_indices]}
    if kind == "convnext":
        reference = ConvNextBackbone(ConvNextConfig(hidden_sizes=list(CONVNEXT), **options))
        reference.embeddings.load_state_dict(own.stem.state_dict())
        for i in out_indices:
            reference.hidden_states_norms[f"stage{i + 1}"].load_state_dict(own.norms[str(i)].state_dict())
    else:
        reference = ResNetBackbone(ResNetConfig(embedding_size=8, hidden_sizes=list(RESNET), **options))
        reference.embedder.load_state_dict(own.stem.state_dict())
    reference.encoder.stages.load_state_dict(own.stages.state_dict())
    return reference.eval()
