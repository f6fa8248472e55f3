"""Vocabularies: files are read as they were written, and what has no words is refused."""

import pytest
import torch
from safetensors.torch import save_file

from ponderv2.errors import UserError
from ponderv2.retrieval import load_vocabulary, save_vocabulary


def test_words_are_read_as_they_were_written(tmp_path):
    save_vocabulary(tmp_path / "w.safetensors", torch.arange(6.0).view(2, 3))
    assert torch.equal(load_vocabulary(tmp_path / "w.safetensors"), torch.arange(6.0).view(2, 3))


@pytest.mark.parametrize(
    "words",
    [
        torch.zeros(0, 8),
        torch.zeros(8, 0),
        torch.zeros(8),
        torch.zeros(3, 8, dtype=torch.int64),
        torch.full((1, 2), torch.nan),
    ],
)
def test_words_that_are_none_or_no_finite_numbers_are_refused(tmp_path, words):
    save_file({"words": words}, tmp_path / "w.safetensors", metadata={"format": "ponderv2.place_vocabulary.v1"})
    with pytest.raises(UserError, match=r"words: expected finite numbers of shape \(words, channels\)"):
        load_vocabulary(tmp_path / "w.safetensors")


def test_what_is_no_file_of_words_is_refused(tmp_path):
    save_file({"words": torch.ones(2, 3)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="expected words in format"):
        load_vocabulary(tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"")
    for path in (tmp_path, tmp_path / "w.safetensors"):
        with pytest.raises(UserError, match="no whole safetensors file"):
            load_vocabulary(path)
