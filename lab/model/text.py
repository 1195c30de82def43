"""Texts cut to a length, listed, counted and made safe: what a sentence needs, whoever writes it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from lab.errors import Interrupted

__all__ = ["beginning", "clipped", "count", "cut", "key_text", "listed", "reprs", "shown"]


def count(number: int, one: str, many: str = "") -> str:
    """A number and its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def cut(text: str, length: int) -> str:
    """A text of at most so many characters; one that is cut ends with an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def beginning(texts: Sequence[str], most: int, *, gap: str = "") -> str:
    """At most so many texts with commas between them; where some are left out, an ellipsis, behind a comma or a gap."""
    more = "" if len(texts) <= most else gap or ", "
    return ", ".join(texts[:most]) + (f"{more}…" if more else "")


def listed(texts: Iterable[str], *, most: int | None = None, last: str = " and ") -> str:
    """Texts as a sentence lists them: commas, and `last` before the last one. Those beyond `most` are only counted."""
    words = list(texts)
    if most is not None and len(words) > most:
        words = [*words[:most], f"{len(words) - most} more"]
    return last.join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def shown(text: str, length: int = 40) -> str:
    """A text from outside for a message: quoted, on one line, in ASCII, cut at a length."""
    return clipped(ascii(text[:length]), length)


def clipped(text: str, length: int = 50) -> str:
    """A text from outside that is known to be on one line, cut at a length as ASCII has it."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def reprs(values: Iterable[object]) -> tuple[str, ...]:
    """The `repr` of each value. Code of the user's makes some of them: one that fails is named instead."""
    values = tuple(values)
    try:
        return tuple(map(repr, values))
    except Interrupted:
        raise
    except BaseException:  # noqa: BLE001 - of whatever kind, it is named in the text
        return tuple(map(_repr, values))


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Interrupted:
        raise
    except BaseException as error:  # noqa: BLE001 - of whatever kind, it is named in the text
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def key_text(value: object) -> str:
    """One value of a key as a text, the same whether it comes from asyncpg or from JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return str(value)
