"""Finding checkpoints, and loading only what fits."""

import os

import pytest
import torch
from torch import nn

from ponderv2.checkpoints import checkpoint_to_resume, load_weights, resolve_checkpoint
from ponderv2.checkpoints.checkpoint_files import is_whole


def _save(model, path):
    torch.save({"meta": {}, "state_dict": model.state_dict()}, path)


def test_a_work_dir_resolves_to_its_last_checkpoint(tmp_path):
    checkpoint = tmp_path / "iter_3.pth"
    checkpoint.touch()
    (tmp_path / "last_checkpoint").write_text(str(checkpoint))
    assert resolve_checkpoint(tmp_path) == checkpoint
    assert resolve_checkpoint(tmp_path / "last_checkpoint") == checkpoint
    assert resolve_checkpoint(checkpoint) == checkpoint


def test_a_work_dir_that_was_moved_still_resolves(tmp_path):
    (tmp_path / "iter_3.pth").touch()
    (tmp_path / "last_checkpoint").write_text("/where/it/was/trained/iter_3.pth")
    assert resolve_checkpoint(tmp_path) == tmp_path / "iter_3.pth"


def test_no_checkpoint_names_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match="last_checkpoint"):
        resolve_checkpoint(tmp_path)


@pytest.mark.parametrize("named", ["iter_9.pth", ""])
def test_a_training_goes_on_from_the_newest_whole_checkpoint_where_the_named_one_is_gone(tmp_path, named):
    for k, name in enumerate(("iter_2.pth", "iter_1.pth", "iter_10.pth")):
        _save(nn.Linear(1, 1), tmp_path / name)
        os.utime(tmp_path / name, (k, k))
    cut = tmp_path / "iter_10.pth"
    cut.write_bytes(cut.read_bytes()[:-100])
    assert checkpoint_to_resume(tmp_path) is None
    (tmp_path / "last_checkpoint").write_text(named)
    assert checkpoint_to_resume(tmp_path) == tmp_path / "iter_1.pth"
    (tmp_path / "last_checkpoint").write_text("iter_2.pth")
    assert checkpoint_to_resume(tmp_path) == tmp_path / "iter_2.pth"
    weight = torch.load(tmp_path / "iter_2.pth")["state_dict"]["weight"].numpy().tobytes()
    content = (tmp_path / "iter_2.pth").read_bytes()
    (tmp_path / "iter_2.pth").write_bytes(content.replace(weight, bytes(4)))
    os.utime(tmp_path / "iter_2.pth", (0, 0))
    assert checkpoint_to_resume(tmp_path) == tmp_path / "iter_1.pth"
    for path in tmp_path.glob("*.pth"):
        path.unlink()
    assert checkpoint_to_resume(tmp_path) is None


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        pytest.param(8, 1, id="encrypted"),
        pytest.param(10, 8, id="deflated"),
        pytest.param(10, 14, id="LZMA"),
        pytest.param(10, 99, id="unknown compression"),
        pytest.param(16, 1, id="checksum"),
        pytest.param(45, 0xFF, id="place"),
    ],
)
def test_a_checkpoint_whose_directory_has_a_changed_byte_is_torn(tmp_path, offset, value):
    path = tmp_path / "iter_1.pth"
    _save(nn.Linear(3, 2), path)
    assert is_whole(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + offset] ^= value
    path.write_bytes(content)
    assert not is_whole(path)


def test_every_byte_of_a_directory_may_change_without_an_error(tmp_path):
    path = tmp_path / "iter_1.pth"
    _save(nn.Linear(1, 1), path)
    honest = path.read_bytes()
    for place in range(honest.index(b"PK\x01\x02"), len(honest), 3):
        path.write_bytes(honest[:place] + bytes([honest[place] ^ 0xFF]) + honest[place + 1 :])
        assert is_whole(path) in (True, False)


def test_weights_of_the_same_recipe_load(tmp_path):
    saved, other = nn.Linear(3, 2), nn.Linear(3, 2)
    _save(saved, tmp_path / "a.pth")
    load_weights(other, tmp_path / "a.pth")
    assert torch.equal(saved.weight, other.weight)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(3, 2, bias=False), "1 not in the model, the first bias"),
        (nn.Sequential(nn.Linear(3, 2)), "2 missing, the first 0.weight"),
        (nn.Linear(4, 2), r"weight \(2, 3\) instead of \(2, 4\)"),
    ],
)
def test_weights_of_another_recipe_name_what_does_not_fit(tmp_path, model, message):
    _save(nn.Linear(3, 2), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=message):
        load_weights(model, tmp_path / "a.pth")
