"""README.md and the pages of docs/: their blocks of code with the marks before them, their links and their anchors.

A mark is a comment of one line before a block: `<!-- not run: why -->`, `<!-- file: history.json -->` where the block
cannot say its name in a first line `# file: history.json`, `<!-- from: tests/… -->` for what is held to be equal to a
file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MARK = re.compile(r"<!--\s*(not run|file|from):\s*(.+?)\s*-->")
NAMED = re.compile(r"# (?:file: )?([\w/.-]+\.\w+)\n")
PARSER = MarkdownIt("commonmark").enable("table")


def pages() -> list[Path]:
    """README.md, then all of docs/. A folder there may be a link to one of the package."""
    found = (DOCS / name for folder in ("", "*/", "*/*/") for name in _glob(f"{folder}*.md"))
    return [ROOT / "README.md", *sorted(found)]


def _glob(pattern: str) -> list[str]:
    return [str(path.relative_to(DOCS)) for path in DOCS.glob(pattern)]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@dataclass(frozen=True)
class Block:
    """A block of code. `first` and `last` are the lines of its text, from 0, the last not counted in."""

    path: Path
    language: str
    text: str
    first: int
    last: int
    marks: dict[str, str]

    @property
    def file(self) -> str:
        """The name of the file that it is, "" for none."""
        named = NAMED.match(self.text)
        return named[1] if named else self.marks.get("file", "")

    @property
    def place(self) -> str:
        return f"{name_of(self.path)}:{self.first}"


def blocks_of(path: Path) -> Iterator[Block]:
    marks: dict[str, str] = {}
    for token in PARSER.parse(path.read_text()):
        if token.type == "html_block":
            marks |= dict(MARK.findall(token.content))
        elif token.type in ("fence", "code_block"):
            assert token.map is not None
            first, last = token.map
            yield Block(path, token.info.strip(), token.content, first + 1, last - 1, marks)
            marks = {}
        else:
            assert not marks or token.type.endswith("_close"), f"{path}: no block stands behind the mark {marks}"


def links_of(path: Path) -> Iterator[str]:
    """The targets of links and images, as they are written."""
    for token in _inline(path):
        for each in token.children or ():
            if each.type == "link_open":
                yield str(each.attrs["href"])
            elif each.type == "image":
                yield str(each.attrs["src"])


def anchors_of(path: Path) -> set[str]:
    """What `#…` may name on a page: its headings, as MkDocs and forges write them, and ids given in HTML."""
    text = path.read_text()
    found = set(re.findall(r'\b(?:id|name)="([^"]+)"', text)) | set(re.findall(r"^::: (\S+)", text, re.MULTILINE))
    tokens = PARSER.parse(text)
    for opened, inline in pairwise(tokens):
        if opened.type == "heading_open":
            plain = "".join(each.content for each in inline.children or ())
            found.add(re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", plain.lower()).strip()))
    return found


def _inline(path: Path) -> Iterator[Token]:
    yield from (token for token in PARSER.parse(path.read_text()) if token.type == "inline")
