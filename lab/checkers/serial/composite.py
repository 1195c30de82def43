"""Reads rows in PostgreSQL's text form of composite values."""

from __future__ import annotations

__all__ = ["fields_of"]


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
