"""Outputs are tried before the work starts."""

from pathlib import Path

import pytest

from ponderv2.command_line import output_folder, writable_checkpoint, writable_file, writable_folder
from ponderv2.errors import UserError


def test_a_file_that_can_be_written_is_not_left_behind_and_keeps_what_it_holds(tmp_path):
    writable_file(tmp_path / "a" / "new.json", "--json")
    assert list((tmp_path / "a").iterdir()) == []
    (tmp_path / "old.json").write_text("{}")
    writable_file(tmp_path / "old.json", "--json")
    assert (tmp_path / "old.json").read_text() == "{}"
    writable_file(None, "--json")


def test_a_folder_is_made_and_stays_empty(tmp_path):
    writable_folder(tmp_path / "a" / "b", "--out")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    writable_folder(None, "--out")


def test_a_folder_is_taken_away_after_an_error_unless_it_was_there_or_holds_something(tmp_path):
    def refuse(path: Path | None) -> None:
        if path is not None:
            path.write_text("")
        raise UserError("refused")

    def fail(folder: Path, content: str | None = None) -> None:
        with pytest.raises(UserError, match="refused"), output_folder(folder, "--out"):
            refuse(content and folder / content)

    (tmp_path / "old").mkdir()
    fail(tmp_path / "old")
    fail(tmp_path / "new")
    fail(tmp_path / "begun", "part")
    with output_folder(tmp_path / "done", "--out"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "done", "old"]


def test_what_cannot_be_written_is_named_with_its_option(tmp_path):
    (tmp_path / "file").write_text("")
    for path, message in (
        (tmp_path, "--json .*expected a file, found a folder"),
        (tmp_path / "file" / "x", "--json .*cannot be written"),
        # Also for root, whom no permissions keep out.
        ("/proc/x", "--json /proc/x: cannot be written"),
    ):
        with pytest.raises(UserError, match=message):
            writable_file(type(tmp_path)(path), "--json")
    with pytest.raises(UserError, match=r"--out .*expected a folder, found a file"):
        writable_folder(tmp_path / "file", "--out")
    with pytest.raises(UserError, match="--out /proc/x: nothing can be written there"):
        writable_folder(type(tmp_path)("/proc/x"), "--out")


def test_a_checkpoint_replaces_no_input_and_nothing_else_unless_told(tmp_path):
    source, other, link = tmp_path / "source.pth", tmp_path / "other.pth", tmp_path / "link.pth"
    source.write_text("source")
    other.write_text("other")
    link.symlink_to(source)
    writable_checkpoint(tmp_path / "new.pth", "OUT", [source], overwrite=False)
    writable_checkpoint(other, "OUT", [source], overwrite=True)
    with pytest.raises(UserError, match=r"OUT .*other\.pth: is there already; give --overwrite"):
        writable_checkpoint(other, "OUT", [source], overwrite=False)
    for same in (source, link):
        with pytest.raises(UserError, match=r"is the input .*source\.pth, which would be lost"):
            writable_checkpoint(same, "OUT", [source], overwrite=True)
    with pytest.raises(UserError, match=r"new: expected a file \*\.pth"):
        writable_checkpoint(tmp_path / "new", "OUT", [source], overwrite=True)
    assert source.read_text() == "source"
