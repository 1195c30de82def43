"""What a page says, as a reader of its text finds it, and which elements it has."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

HTML = {
    *("html", "head", "meta", "title", "style", "body", "a", "header", "p", "h1", "div", "label", "code", "button"),
    *("nav", "ul", "li", "main", "section", "h2", "h3", "noscript", "output", "input", "svg", "defs", "marker", "path"),
    *("pattern", "g", "text", "rect", "circle", "span", "b", "ol", "details", "summary", "dl", "dt", "dd", "table"),
    *("thead", "tbody", "tr", "th", "td", "pre", "script", "em", "figure", "figcaption", "br", "i"),
}
"""What the templates use."""


class Seen(HTMLParser):
    """The text of a page, of each section by its id, without style and script; its elements and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: dict[str, list[str]] = {"": []}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._section, self._hidden = "", 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._hidden += tag in ("script", "style")
        if tag in ("section", "header"):
            self._section = dict(attrs).get("id") or tag
        for name in ("aria-label", "title"):  # readers of a page hear these
            if value := dict(attrs).get(name):
                self.handle_data(value)

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")
        self._section = "" if tag in ("section", "header") else self._section

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.setdefault(self._section, []).append(data)

    def text(self, *but: str) -> str:
        """All of it but some sections, without blanks, in which no line break matters."""
        return squeezed("".join("".join(texts) for name, texts in self.texts.items() if name not in but))


def squeezed(text: str) -> str:
    """A text without blanks."""
    return "".join(text.split())


def leaves(value: Any) -> Iterator[str]:
    """Every text and number of JSON values."""
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
