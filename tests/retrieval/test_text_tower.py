"""Sentences: features of an image branch in the space of the texts of a tiny CLIP or SigLIP with random weights."""

import json
from pathlib import Path

import pytest
import torch
import transformers

from ponderv2.errors import UserError
from ponderv2.retrieval import DescriptorSettings, TextSpace, check_text_model, place_descriptor, sentence_vector
from ponderv2.teachers import FrozenImageBranch, VisionTransformerTeacher
from tests.factories.image_teachers import vision_folder

LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
WORDS = [*LETTERS, *(letter + "</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
SIZES = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)


def _folder(folder: Path, family: str) -> Path:
    torch.manual_seed(0)
    text = dict(SIZES, projection_dim=12, vocab_size=len(WORDS), bos_token_id=52, eos_token_id=53, pad_token_id=53)
    vision = dict(SIZES, projection_dim=12, image_size=16, patch_size=4)
    if family == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
        transformers.CLIPModel(config).save_pretrained(folder / family)
    else:
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
        transformers.SiglipModel(config).save_pretrained(folder / family)
    (folder / family / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(WORDS)}))
    (folder / family / "merges.txt").write_text("#version: 0.2\n")
    return folder / family


def _branch(folder: Path) -> FrozenImageBranch:
    branch = FrozenImageBranch(dict(type=VisionTransformerTeacher, name=folder), channels=16)
    branch.fit_reduction(torch.rand(8, 3, 16, 16))
    return branch


def test_a_model_of_other_sizes_is_refused_by_its_config_alone(tmp_path):
    folders = {}
    for name, hidden in (("own", 16), ("other", 24)):
        folders[name] = tmp_path / name
        folders[name].mkdir()
        vision = {"hidden_size": hidden, "patch_size": 4}
        (folders[name] / "config.json").write_text(json.dumps({"model_type": "clip", "vision_config": vision}))
    check_text_model(folders["own"], dict(name=str(folders["own"])))
    check_text_model(folders["own"], dict(name="openai/of-the-hub"))
    with pytest.raises(UserError, match=r"own: its vision tower is not the teacher .*hidden_size is 16 instead of 24"):
        check_text_model(folders["own"], dict(name=str(folders["other"])))
    with pytest.raises(UserError, match="the teacher of this recipe is no vision transformer"):
        check_text_model(folders["own"], dict(path="street_teacher.safetensors"))
    (folders["other"] / "config.json").write_text(json.dumps({"model_type": "dinov2"}))
    with pytest.raises(UserError, match=r"expected a model with a text tower, clip or siglip, .* says 'dinov2'"):
        check_text_model(folders["other"], dict(name=str(folders["own"])))
    with pytest.raises(UserError, match=r"cannot read config\.json"):
        check_text_model(tmp_path, dict(name=str(folders["own"])))


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_features_go_through_what_the_model_has_for_whole_pictures(tmp_path, family):
    folder = _folder(tmp_path, family)
    branch, pictures = _branch(folder), torch.rand(1, 3, 16, 16)
    space = TextSpace(folder, branch)
    tokens = branch.raw_maps(pictures)[0].flatten(1).t()
    found = space(branch.reduction(branch.raw_maps(pictures))[0].flatten(1).t())
    if family == "clip":
        model = transformers.CLIPModel.from_pretrained(folder)
        expected = model.visual_projection(model.vision_model.post_layernorm(tokens))
    else:
        model = transformers.SiglipModel.from_pretrained(folder)
        expected = torch.cat([model.vision_model.head(token[None, None]) for token in tokens])
    torch.testing.assert_close(found, expected.detach(), atol=2e-3, rtol=1e-2)


def test_a_sentence_finds_the_features_that_are_nearest_to_its_text(tmp_path):
    folder = _folder(tmp_path, "clip")
    vector = sentence_vector(folder, "a bus")
    text, opposite = vector.chunk(2)
    torch.testing.assert_close(text, -opposite)
    assert vector.norm().item() == pytest.approx(1.0)
    settings, places = DescriptorSettings(layout="whole"), torch.zeros(3, 3)
    like, unlike = (place_descriptor(places, sign * text.expand(3, -1), settings) for sign in (1, -1))
    other = place_descriptor(places, torch.randn(3, 12), settings)
    assert vector @ like > vector @ other > vector @ unlike
    assert not torch.allclose(sentence_vector(folder, "a tree"), vector, atol=1e-3)


def test_models_that_do_not_fit_are_refused(tmp_path):
    folder = _folder(tmp_path, "clip")
    alone = vision_folder(tmp_path, "dinov2")
    with pytest.raises(UserError, match="its vision tower is not the teacher of this model"):
        TextSpace(folder, _branch(alone))
    with pytest.raises(UserError, match="expected a model with a text tower, clip or siglip, its config says 'dinov2'"):
        sentence_vector(alone, "a bus")
    with pytest.raises(UserError, match="does not hold a model that can be read"):
        sentence_vector(tmp_path, "a bus")
