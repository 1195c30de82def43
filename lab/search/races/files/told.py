"""What answers tell anew when requests of a file are sent again: ids, tokens.

A later request of a recording names what an earlier answer told: the order that it made, the token of a login. Sent
again, the application tells another one. Where the file has the answers, each value of a recorded answer is held
against the one at the same place in the new answer, and takes its place in what is sent from then on: as a whole part
of a path, a value of a query or of a body, a word of a header. A short one that a request had named before it was told
(product 7, and now order 7) stays; so does one that was last told unchanged. A wrong guess shows in the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from lab.search.races.files.asked import Asked
from lab.search.races.sent import TELLING

__all__ = ["Told"]

_WORD = re.compile(r"[^/?&=;,\s]+")
_NAMING = re.compile(r"[\w-]+")
_LONG = 8
"""Characters from which on a text that stands in a later request is no chance."""


@dataclass(slots=True)
class Told:
    """Old value -> new one, as texts."""

    _new: dict[str, str] = field(default_factory=dict)
    _named: set[str] = field(default_factory=set)
    """What the requests of the file have named so far."""

    def learn(self, asked: Asked, answer: str) -> None:
        """Hold what was answered against what the file has."""
        if asked.answer is None:
            return
        try:
            now = json.loads(answer)
        except ValueError:
            return
        for old, new in _told(asked.answer, now, ""):
            if old == new:
                self._new.pop(old, None)
            elif len(old) >= _LONG or old not in self._named:
                self._new[old] = new

    def renewed(self, asked: Asked) -> Asked:
        """A request with what was told anew."""
        self._named.update(_NAMING.findall(f"{urlsplit(asked.url).path} {asked.content.decode(errors='replace')}"))
        if not self._new:
            return asked
        headers = tuple((name, self._words(value)) for name, value in asked.headers)
        return replace(asked, url=self._words(asked.url), headers=headers, content=self._content(asked.content))

    def _words(self, text: str) -> str:
        return _WORD.sub(lambda found: self._new.get(found[0], found[0]), text)

    def _content(self, content: bytes) -> bytes:
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return content
        try:
            value = json.loads(text)
        except ValueError:
            return self._words(text).encode()
        new = self._value(value, "")
        return content if new == value else json.dumps(new).encode()

    def _value(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: self._value(each, key.lower()) for key, each in value.items()}
        if isinstance(value, list):
            return [self._value(each, name) for each in value]
        if isinstance(value, str):
            return self._new.get(value, value)
        if isinstance(value, int) and not isinstance(value, bool) and name.endswith(TELLING):
            return int(self._new.get(str(value), value))
        return value


def _told(old: Any, new: Any, name: str) -> Iterator[tuple[str, str]]:
    """Pairs of values by which something can be named, that stand at the same place."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() & new.keys():
            yield from _told(old[key], new[key], str(key).lower())
    elif isinstance(old, list) and isinstance(new, list):
        for one, other in zip(old, new, strict=False):
            yield from _told(one, other, name)
    elif type(old) is type(new) and _names_something(old, name):
        yield str(old), str(new)


def _names_something(value: Any, name: str) -> bool:
    if isinstance(value, str) and len(value) >= _LONG and " " not in value:
        return True
    return isinstance(value, int | str) and not isinstance(value, bool) and name.endswith(TELLING)
