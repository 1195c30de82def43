"""What an application answered a request: the result of an actor that is a request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from lab.model.nature import Path

__all__ = ["Answer"]


class Answer(NamedTuple):
    """Status and content: what JSON holds; the text or bytes of an answer that is not JSON; None for an empty one.

    It equals the pair of both, and is printed as `201 {"id": 1}`.
    """

    status: int
    json: Any = None

    def __repr__(self) -> str:
        return self.described(lambda path, text: text)

    def described(self, place: Callable[[Path, str], str]) -> str:
        """The same text; `place` gets each plain value's path and text, and returns the text that stands there."""
        status = place(("status",), str(self.status))
        return status if self.json is None else f"{status} {_text(self.json, ('json',), place)}"


def _text(value: object, path: Path, place: Callable[[Path, str], str]) -> str:
    match value:
        case dict():
            items = (
                f"{json.dumps(key, ensure_ascii=False)}: {_text(v, (*path, key), place)}" for key, v in value.items()
            )
            return f"{{{', '.join(items)}}}"
        case list():
            return f"[{', '.join(_text(v, (*path, f'[{n}]'), place) for n, v in enumerate(value))}]"
        case bytes():
            return place(path, f"<{len(value)} bytes, sha256 {hashlib.sha256(value).hexdigest()[:12]}>")
        case _:
            return place(path, json.dumps(value, ensure_ascii=False))
