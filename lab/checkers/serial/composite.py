"""Reads and writes rows in PostgreSQL's text form of composite values."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["composite_of", "fields_of"]

_SPECIAL = re.compile(r'[\s"\\(),]')


def fields_of(text: str) -> list[str | None]:
    """The fields of a PostgreSQL composite text such as `(1,"a, b",)`; None for NULL.

    A composite without any field reads as one with a NULL, since both are `()`. Raises `ValueError` for another text.
    """
    if not (text.startswith("(") and text.endswith(")")):
        raise ValueError(f"{text!r} is not a composite text")
    fields: list[str | None] = []
    end, at = len(text) - 1, 1
    while True:
        field, at = _field(text, at, end)
        fields.append(field)
        if at >= end:
            return fields
        at += 1  # the comma


def _field(text: str, at: int, end: int) -> tuple[str | None, int]:
    """The field that begins here, and where it ends."""
    written: list[str] = []
    start, quoted = at, False
    while at < end:
        character = text[at]
        if character == "\\":
            at += 1
            written.append(text[at])
        elif character == '"':
            if quoted and text[at + 1] == '"':
                at += 1
                written.append('"')
            else:
                quoted = not quoted
        elif character == "," and not quoted:
            break
        else:
            written.append(character)
        at += 1
    if quoted:
        raise ValueError(f"{text!r} ends within quotes")
    return ("".join(written) if at > start else None), at


def composite_of(fields: Sequence[str | None]) -> str:
    """The composite text of fields: the reverse of `fields_of`."""
    return f"({','.join(map(_written, fields))})"


def _written(field: str | None) -> str:
    if field is None:
        return ""
    if field and not _SPECIAL.search(field):
        return field
    return '"' + field.replace("\\", "\\\\").replace('"', '""') + '"'
