"""The page of each anomaly and each cause, as the package carries it in `lab/report/pages/`; the site has them too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

__all__ = ["page_of", "pages", "slug_of"]

FOLDERS = ("causes", "anomalies")
_MARK = re.compile(r"<!--.*?-->\n")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def slug_of(name: str) -> str:
    """The name of an anomaly or a cause as its page is called: `g-single` for G-single, `lock-order` for lock order."""
    return name.lower().replace(" ", "-")


def pages() -> Iterator[tuple[str, str]]:
    """The folder and the slug of each page, in order."""
    for folder in FOLDERS:
        found = (files("lab.report") / "pages" / folder).iterdir()
        slugs = sorted(each.name.removesuffix(".md") for each in found if each.name.endswith(".md"))
        yield from ((folder, slug) for slug in slugs if slug != "index")


def page_of(name: str) -> str | None:
    """The page as text to be read in a terminal, None where there is none of that name."""
    wanted = slug_of(name)
    folder = next((folder for folder, slug in pages() if slug == wanted), None)
    if folder is None:
        return None
    text = (files("lab.report") / "pages" / folder / f"{wanted}.md").read_text(encoding="utf-8")
    return _LINK.sub(r"\1", _MARK.sub("", text))
