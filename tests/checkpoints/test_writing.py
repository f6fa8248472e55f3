"""Files of weights are there as a whole or, as before, not at all."""

from pathlib import Path

import pytest
import torch

from ponderv2.checkpoints import weights_hash, write_checkpoint
from ponderv2.compat.safe_checkpoint import load_checkpoint_file

WEIGHTS = {"encoder.a": torch.arange(3.0), "head.b": torch.ones(2, dtype=torch.bfloat16)}


def test_a_checkpoint_comes_back_with_its_hash(tmp_path):
    write_checkpoint(tmp_path / "deep" / "a.pth", WEIGHTS, {"options": ["model.a=1"]})
    found = load_checkpoint_file(tmp_path / "deep" / "a.pth")
    assert found["meta"] == {"options": ["model.a=1"], "sha256": weights_hash(found["state_dict"])}
    assert found["state_dict"].keys() == WEIGHTS.keys()
    assert all(torch.equal(value, WEIGHTS[name]) for name, value in found["state_dict"].items())


def test_a_write_that_fails_leaves_the_earlier_file_and_nothing_else(tmp_path, monkeypatch):
    write_checkpoint(tmp_path / "a.pth", WEIGHTS, {})
    earlier = (tmp_path / "a.pth").read_bytes()
    monkeypatch.setattr(torch, "save", _full_disk)
    with pytest.raises(OSError, match="no space"):
        write_checkpoint(tmp_path / "a.pth", {"encoder.a": torch.zeros(3)}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]
    assert (tmp_path / "a.pth").read_bytes() == earlier


def _full_disk(content: object, path: Path) -> None:
    path.write_bytes(b"half")
    raise OSError("no space left on device")
