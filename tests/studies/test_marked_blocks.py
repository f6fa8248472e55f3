"""Blocks of pages: the inside is made anew, all else stays, and markers that do not fit are told with their line."""

import pytest

from studies.marked_blocks import BlockError, names_of_blocks, replace_blocks

PAGE = "# A\n\n<!-- table: one -->\nold\n\nold\n<!-- end -->\ntext\n<!-- table: two -->\n<!-- end -->\n"


def test_blocks_are_made_anew_and_all_else_stays():
    new = replace_blocks(PAGE, "a.md", lambda name: f"\n| {name} |\n")
    expected = "# A\n\n<!-- table: one -->\n| one |\n<!-- end -->\ntext\n<!-- table: two -->\n| two |\n<!-- end -->\n"
    assert new == expected
    assert replace_blocks(new, "a.md", lambda name: f"| {name} |") == new
    assert names_of_blocks(PAGE, "a.md") == ["one", "two"]


def test_a_page_without_blocks_stays():
    text = "# A\n\nUse `<!-- table: NAME -->` and `<!-- end -->`.\n"
    assert replace_blocks(text, "a.md", {}.__getitem__) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("<!-- table: one -->\n", "a.md, line 1: table one has no '<!-- end -->'"),
        ("\n<!-- end -->\n", "a.md, line 2: '<!-- end -->' without a table that begins before it"),
        ("<!-- table: one -->\n<!-- table: two -->\n<!-- end -->\n", "a.md, line 2: table two begins before one has"),
    ],
)
def test_markers_that_form_no_block_are_told_with_their_line(text, line):
    with pytest.raises(BlockError, match=line):
        replace_blocks(text, "a.md", str)


def test_a_content_cannot_end_its_block():
    with pytest.raises(BlockError, match="line 3: the content of one has a line that is a marker"):
        replace_blocks(PAGE, "a.md", lambda name: "<!-- end -->")
