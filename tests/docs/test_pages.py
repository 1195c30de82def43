"""README.md and docs/ run as they stand: see `helpers.page_runs` for how, and for how outputs are compared."""

from __future__ import annotations

import re

import pytest
from helpers.page_runs import WRITES, Page, matches
from helpers.pages import Block, blocks_of, name_of, pages

LANGUAGES = {"python", "console", "toml", "yaml", "json", "text", "mermaid"}
NOT_RUN = {
    "README.md": 2,
    "docs/guide.md": 2,
    "docs/scale.md": 3,
}
"""Blocks that say why they cannot run, by page. Each more is a place where the documentation may be wrong unnoticed.

A block that shows a part of a file is compared with that file, so it is not counted.
"""

BLOCKS = [block for path in pages() for block in blocks_of(path)]
RUN = [path for path in pages() if any(each.language in ("python", "console") or each.file for each in blocks_of(path))]


@pytest.mark.parametrize("path", RUN, ids=name_of)
def test_the_blocks_of_a_page_run_and_give_the_output_that_is_shown(path, tmp_path):
    page = Page(path, tmp_path)
    page.run()
    if WRITES:
        page.rewrite()


@pytest.mark.parametrize("path", pages(), ids=name_of)
def test_every_block_is_of_a_kind_that_is_checked(path):
    """What is indented, or has no language, would be run by nobody."""
    others = [f"{each.place} ({each.language or 'no language'})" for each in blocks_of(path) if not _is_known(each)]
    assert not others


def _is_known(block: Block) -> bool:
    return block.language in LANGUAGES


def test_few_blocks_cannot_run_and_each_says_why():
    marked = [each for each in BLOCKS if "not run" in each.marks and "from" not in each.marks]
    found = {name_of(each.path): sum(other.path == each.path for other in marked) for each in marked}
    assert found == NOT_RUN
    assert all(len(each.marks["not run"]) > 10 for each in marked)


def test_what_looks_like_output_of_the_lab_is_shown_by_a_command_or_from_a_file():
    """A report that somebody typed in would be true on the day when it was typed."""
    typed = [each for each in BLOCKS if each.language == "text" and "from" not in each.marks]
    assert not [each.place for each in typed if re.search(r"^(Replay|Cause|Fix|pass:|fail:) ", each.text, re.MULTILINE)]


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ("a\nb", "a\nb\n", True),
        ("a\nb", "a\nc\n", False),
        ("a", "a\nb", False),
        ("a\n…", "a\nb\nc", True),
        ("…\nc", "a\nb\nc", True),
        ("a\n…\nc", "a\nc", True),
        ("a\n…\nc", "a\nb\nd", False),
        ("took 0.10 s", "took 12.5 s", True),
        ("took 0.10 s", "took long", False),
        ("1 row in 3ms", "2 rows in 3ms", False),
        ("a … c", "a b c", True),
    ],
)
def test_an_output_is_compared_up_to_durations_and_what_is_left_out(shown, output, same):
    assert matches(shown.splitlines(), output) is same
