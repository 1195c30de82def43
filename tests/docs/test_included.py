"""What a page shows of a file of the repository is what that file holds: `<!-- from: PATH -->` or `PATH::function`.

With LAB_WRITE_DOCS=1 it is written into the page anew.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from helpers.page_runs import WRITES
from helpers.pages import ROOT, Block, blocks_of, name_of, pages

FOR_TESTS = re.compile(r"  # (?:steps? [\d, ]+|sends)$")
"""A mark in a program that says to its test which step the line takes."""
INCLUDING = [path for path in pages() if any("from" in block.marks for block in blocks_of(path))]


def held(source: str) -> str:
    """The text of a file, or of one function in it, without its decorators and marks for tests."""
    name, _, function = source.partition("::")
    text = (ROOT / name).read_text()
    if not function:
        return text
    (found,) = (each for each in ast.parse(text).body if getattr(each, "name", "") == function)
    lines = text.splitlines()[found.lineno - 1 : found.end_lineno]
    return "".join(f"{FOR_TESTS.sub('', line)}\n" for line in lines)


@pytest.mark.parametrize("path", INCLUDING, ids=name_of)
def test_what_is_shown_of_a_file_is_what_it_holds(path):
    different = [
        block for block in blocks_of(path) if "from" in block.marks and block.text != held(block.marks["from"])
    ]
    if WRITES:
        _write(path, different)
    assert WRITES or not [f"{block.place}: not as in {block.marks['from']}" for block in different]


def _write(path: Path, blocks: list[Block]) -> None:
    text = path.read_text()
    for block in blocks:
        mark = f"<!-- from: {block.marks['from']} -->\n```{block.language}\n"
        text = text.replace(f"{mark}{block.text}```", f"{mark}{held(block.marks['from'])}```", 1)
    path.write_text(text)
