"""Finding checkpoints, and loading only what fits."""

import os
import zipfile

import pytest
import torch
from torch import nn

from ponderv2.checkpoints import checkpoint_to_resume, load_weights, resolve_checkpoint, set_earlier_run_aside
from ponderv2.checkpoints.checkpoint_files import is_whole
from ponderv2.errors import UserError


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


@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_a_changed_byte_in_the_list_of_entries_is_no_error_of_another_kind(tmp_path, flip):
    path = tmp_path / "iter_1.pth"
    _save(nn.Linear(1, 1), path)
    assert is_whole(path)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    for place in range(start, len(content), 5):
        changed = bytearray(content)
        changed[place] ^= flip
        path.write_bytes(changed)
        assert is_whole(path) in (True, False)


# Of the first entry in the list: the flag "encrypted", the method of compression.
@pytest.mark.parametrize(("place", "value"), [(8, 1), (10, 8), (10, 12), (10, 14)])
def test_a_checkpoint_whose_entries_are_said_to_be_encrypted_or_compressed_is_torn(tmp_path, place, value):
    _save(nn.Linear(1, 1), tmp_path / "iter_1.pth")
    content = bytearray((tmp_path / "iter_1.pth").read_bytes())
    content[content.index(b"PK\1\2") + place] |= value
    (tmp_path / "iter_2.pth").write_bytes(content)
    (tmp_path / "last_checkpoint").write_text("iter_2.pth")
    assert checkpoint_to_resume(tmp_path) == tmp_path / "iter_1.pth"


def test_nothing_goes_on_from_a_run_before_the_one_that_was_started_anew(tmp_path):
    _save(nn.Linear(1, 1), tmp_path / "iter_9.pth")
    (tmp_path / "last_checkpoint").write_text("iter_9.pth")
    os.utime(tmp_path / "iter_9.pth", (1, 1))
    for _ in range(2):
        set_earlier_run_aside(tmp_path)
        assert checkpoint_to_resume(tmp_path) is None
        assert (tmp_path / "last_checkpoint.earlier").read_text() == "iter_9.pth"
    (tmp_path / "last_checkpoint").write_text("iter_1.pth")
    assert checkpoint_to_resume(tmp_path) is None
    _save(nn.Linear(1, 1), tmp_path / "iter_1.pth")
    (tmp_path / "last_checkpoint").write_text("iter_2.pth")
    assert checkpoint_to_resume(tmp_path) == tmp_path / "iter_1.pth"


def test_weights_of_the_same_recipe_load(tmp_path):
    saved, other = nn.Linear(3, 2), nn.Linear(3, 2)
    _save(saved, tmp_path / "a.pth")
    load_weights(other, tmp_path / "a.pth")
    assert torch.equal(saved.weight, other.weight)


def test_weights_of_an_earlier_version_may_lack_what_a_module_names(tmp_path):
    class Newer(nn.Linear):
        may_be_missing = ("bias",)

        def _load_from_state_dict(self, weights, prefix, metadata, strict, missing, *others):
            super()._load_from_state_dict(weights, prefix, metadata, strict, missing, *others)
            missing.clear()

    saved = nn.Sequential(nn.Linear(3, 2, bias=False))
    _save(saved, tmp_path / "a.pth")
    model = nn.Sequential(Newer(3, 2))
    load_weights(model, tmp_path / "a.pth")
    assert torch.equal(model[0].weight, saved[0].weight)
    with pytest.raises(UserError, match=r"1 missing, the first 0\.bias"):
        load_weights(nn.Sequential(nn.Linear(3, 2)), tmp_path / "a.pth")


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
