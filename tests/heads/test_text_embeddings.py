"""Targets from text: a tiny CLIP with random weights in a folder, as transformers writes it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from ponderv2.errors import UserError
from ponderv2.heads.rendered_classes import RenderedClasses
from ponderv2.heads.text_embeddings import class_embeddings

CLASSES = ("car", "traffic_cone", "bus")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tokenizer of letters and a text tower of two layers."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + ["."]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: k for k, word in enumerate(words)}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=12,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=vocabulary["<|endoftext|>"],
    )
    CLIPTextModelWithProjection(config).save_pretrained(tmp_path)
    return tmp_path


def test_a_class_has_a_unit_vector_that_hangs_on_its_name_and_the_prompt_alone(folder):
    found = class_embeddings(folder, CLASSES)
    assert found.shape == (3, 12)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(class_embeddings(folder, CLASSES[1:]), found[1:])
    torch.testing.assert_close(class_embeddings(folder, ["traffic cone", "bus"]), found[1:])
    assert not torch.allclose(class_embeddings(folder, CLASSES, "{}"), found, atol=1e-3)


def test_logits_are_cosines_over_the_temperature(folder):
    classes = RenderedClasses(5, CLASSES, text_model=str(folder), temperature=0.1)
    features, opacity = torch.rand(2, 4, 5), torch.rand(2, 4)
    found, text = classes(features, opacity), class_embeddings(folder, CLASSES)
    for b in range(2):
        for q in range(4):
            rendered = classes.decoder.weight @ features[b, q] + opacity[b, q] * classes.decoder.bias
            for k in range(3):
                assert found[b, q, k].item() == pytest.approx(
                    torch.cosine_similarity(rendered, text[k], dim=0).item() / 0.1, abs=1e-4
                )


def test_embeddings_are_frozen_and_in_no_checkpoint(folder):
    classes = RenderedClasses(5, CLASSES, text_model=str(folder))
    assert set(classes.state_dict()) == {"decoder.weight", "decoder.bias"} == set(dict(classes.named_parameters()))
    assert not classes.text.requires_grad
    classes(torch.rand(4, 5), torch.ones(4)).sum().backward()
    assert classes.decoder.weight.grad.isfinite().all()


def test_a_folder_that_is_missing_or_lacks_something_is_named(folder, tmp_path):
    with pytest.raises(UserError, match=r"text_model: .*nowhere is no folder; expected a CLIP model"):
        class_embeddings(tmp_path / "nowhere", CLASSES)
    with pytest.raises(UserError, match=r"template: expected one \{\} .* got 'a photo'"):
        class_embeddings(folder, CLASSES, "a photo")
    (folder / "merges.txt").unlink()
    with pytest.raises(UserError, match=r"has no tokenizer\.json \(or vocab\.json and merges\.txt\)"):
        class_embeddings(folder, CLASSES)


def test_weights_in_a_pickle_are_not_read(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"has no model\.safetensors"):
        class_embeddings(folder, CLASSES)


def test_a_text_tower_that_is_incomplete_is_not_filled_up_with_random_weights(folder):
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["text_projection.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 tensors of CLIP's text tower, first text_projection\.weight"):
        class_embeddings(folder, CLASSES)
    path.write_bytes(b"not a file of tensors")
    with pytest.raises(UserError, match="does not hold a CLIP model that can be read"):
        class_embeddings(folder, CLASSES)
